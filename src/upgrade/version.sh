# What preflight.sh and upgrade.sh share: which Kairos is below a root, and which of two versions is older.

# The value of one variable of a release file, without its quotes. The file is read, not run: it is the host's.
value() {
    found=
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in "$2="*) found=${line#*=} ;; esac
    done <"$1"
    case $found in
    \"*\") found=${found#\"} found=${found%\"} ;;
    \'*\') found=${found#\'} found=${found%\'} ;;
    esac
    printf '%s' "$found"
}

# The release file below a root that names a version, if any.
release_below() {
    for name in kairos-release os-release; do
        file=$1/etc/$name
        if [ -L "$file" ]; then
            # An absolute link means a file below the same root, and not one of this container.
            link=$(readlink "$file") || link=
            case $link in /*) file=$1$link ;; esac
        fi
        if [ -f "$file" ] && [ -n "$(value "$file" KAIROS_VERSION)" ]; then
            printf '%s' "$file"
            return
        fi
    done
}

# What a release file says in one word, <KAIROS_VERSION>-<prefix><software version>; of no file, nothing.
version_in() {
    [ -n "$1" ] || return 0
    printf '%s-%s%s' "$(value "$1" KAIROS_VERSION)" \
        "$(value "$1" KAIROS_SOFTWARE_VERSION_PREFIX)" "$(value "$1" KAIROS_SOFTWARE_VERSION)"
}

# The number at the beginning of a text, without leading zeros.
number() {
    digits=${1%%[!0-9]*}
    while [ ${#digits} -gt 1 ] && [ "${digits#0}" != "$digits" ]; do digits=${digits#0}; done
    printf '%s' "$digits"
}

# Says older, newer or same of two versions such as v3.10.2, v3.10.2-rc1 or v1.33.4+k3s1; nothing where it cannot be told.
compare() {
    one=${1#v} two=${2#v}
    while :; do
        left=$(number "$one") right=$(number "$two")
        { [ -n "$left" ] && [ -n "$right" ] && [ ${#left} -lt 10 ] && [ ${#right} -lt 10 ]; } || return 0
        if [ "$left" -ne "$right" ]; then
            if [ "$left" -lt "$right" ]; then printf older; else printf newer; fi
            return
        fi
        one=${one#"${one%%[!0-9]*}"} two=${two#"${two%%[!0-9]*}"}
        case $one:$two in .*:.*) one=${one#.} two=${two#.} ;; *) break ;; esac
    done
    word=${one%%[0-9]*}
    case $one:$two in
    "$two:$one") printf same ;;
    # A candidate comes before its release.
    -rc*: | -beta*: | -alpha*:) printf older ;;
    :-rc* | :-beta* | :-alpha*) printf newer ;;
    # The same word, and then a number.
    *) if [ -n "$word" ] && [ "$word" = "${two%%[0-9]*}" ]; then compare "${one#"$word"}" "${two#"$word"}"; fi ;;
    esac
}

# Whether the system of the first release file is known to be older than that of the second. Kairos counts first, and then
# what it carries, if that is the same thing.
is_older() {
    { [ -n "$1" ] && [ -n "$2" ]; } || return 1
    order=$(compare "$(value "$1" KAIROS_VERSION)" "$(value "$2" KAIROS_VERSION)")
    if [ "$order" = same ] &&
        [ "$(value "$1" KAIROS_SOFTWARE_VERSION_PREFIX)" = "$(value "$2" KAIROS_SOFTWARE_VERSION_PREFIX)" ]; then
        order=$(compare "$(value "$1" KAIROS_SOFTWARE_VERSION)" "$(value "$2" KAIROS_SOFTWARE_VERSION)")
    fi
    [ "$order" = older ]
}
