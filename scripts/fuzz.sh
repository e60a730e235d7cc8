#!/usr/bin/env bash
# fuzz.sh SECONDS [TARGET]: fuzzes the manifest loader, or TARGET=templates. What cargo-fuzz would do, but
# without the address sanitizer (there is no unsafe code), so that stable Rust is enough.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
coverage+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
# With --target the flags are not for build scripts, which have no fuzzer in them.
RUSTFLAGS="--cfg fuzzing $coverage" cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target "$target" --target-dir target/fuzz
name=${2:-manifests}
mkdir -p "fuzz/corpus/$name" "fuzz/artifacts/$name"
case $name in
manifests) seeds=(tests/manifests/{seeds,valid,invalid}) ;;
templates) seeds=(examples/dockerfile -dict=fuzz/templates.dict) ;;
esac
# What it finds it adds to the first folder; an input that fails goes to artifacts.
exec "target/fuzz/$target/release/$name" "fuzz/corpus/$name" "${seeds[@]}" \
    "-artifact_prefix=fuzz/artifacts/$name/" -max_len=20000 -timeout=10 -rss_limit_mb=2048 -max_total_time="${1:-60}"
