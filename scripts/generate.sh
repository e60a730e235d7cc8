#!/usr/bin/env bash
# Writes the generated files anew: crds/*.yaml and docs/cli.md. CI fails when they are stale.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=$1
mkdir -p crds docs
for kind in NodeOp:operator.kairos.io_nodeops NodeOpUpgrade:operator.kairos.io_nodeopupgrades \
  OSArtifact:build.kairos.io_osartifacts UpdateChannel:k3os.io_updatechannels; do
  "$rounds" crds --kind "${kind%%:*}" >"crds/${kind#*:}.yaml"
done
"$rounds" docs >docs/cli.md
