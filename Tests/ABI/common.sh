# shellcheck shell=bash
# What the checks of this folder share: reading keyturn.h, and saying what is wrong. Sourced, not run.
root=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
header=${KEYTURN_HEADER:-$root/include/keyturn.h} # a mutant's header, in the checks of the checks
header_name=$(basename "$header" .h)
sources=${KEYTURN_SOURCES:-$root/Sources/Keyturn} # and its sources
cc=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failures=0
fail() { # SENTENCE
    echo "FAIL: $*"
    failures=$((failures + 1))
}

finish() { # SENTENCE
    [ "$failures" -eq 0 ] || exit 1
    echo "ok: $*"
}

# The header's code without its comments; macros stay unexpanded, each on one line.
header_code() {
    "$cc" -x c -fpreprocessed -w -dD -E -P "$header" | sed -e ':more; /\\$/ { N; s/\\\n *//; b more; }'
}

# One exported declaration a line, without its macro and semicolon.
declarations() {
    header_code | grep -v '^ *#' | tr '\n' ' ' | tr ';' '\n' |
        sed -n 's/^.*KEYTURN_API \(.*)\) *$/\1/p' | tr -s ' '
}

function_names() {
    declarations | sed 's/^[^(]*[ *]\([a-z0-9_]*\)(.*/\1/' | sort
}

# `NAME NUMBER` for each member of an enum.
enumerators() { # ENUM
    header_code | tr '\n' ' ' | grep -o "enum $1 {[^}]*}" | grep -o '[A-Z][A-Z0-9_]* = [0-9]*' | sed 's/ = / /'
}

# A body for every declaration, so that libabigail has an object with debug information to read: it does
# not see into Swift's.
stubs() {
    printf '#include <%s.h>\n' "$header_name"
    printf '#ifdef EXTRA\nEXTRA\n#endif\n' # a mutant's flaw
    declarations | sed -E \
        -e 's/^void (.*)$/void \1 { }/; t' \
        -e 's/^(.*[ *])([a-z0-9_]+)(\(.*)$/\1\2\3 { static \1 nothing; return nothing; }/'
}

# shellcheck disable=SC2054 # the commas are the linker's
soundly=("-Wl,--version-script=$(echo "$root"/Sources/*/"$header_name.map")" "-Wl,-soname,lib${header_name//_/-}.so.0"
    -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now)

build_stubs() { # OBJECT [FLAG...]
    local object=$1
    shift
    stubs >"$work/stubs.c"
    "$cc" -shared -fPIC -g -ffile-prefix-map="$work/=" -I "$(dirname "$header")" "$work/stubs.c" -o "$object" "${soundly[@]}" "$@"
}
