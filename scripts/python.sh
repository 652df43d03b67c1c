#!/bin/sh
# Run a fitting Python with the given arguments: $PYTHON, .venv's own, or the newest of 3.11 to 3.13 that works.
# A command that exists but fails (a shim of pyenv or conda, a stub) is passed over.

probe='
import platform, sys
kind, version = platform.python_implementation().replace("CPython", "Python"), sys.version_info[:2]
if kind != "Python" or not (3, 11) <= version <= (3, 13):
    sys.exit("is %s %d.%d" % ((kind,) + version))
if sys.prefix == sys.base_prefix:
    try:
        import ensurepip, venv
    except ImportError:
        sys.exit("lacks the module venv")
'

candidates='.venv/bin/python python3.13 python3.12 python3.11 python3 python'
newline='
'
found=''

try() {
    [ -n "$(command -v "$1" 2>/dev/null)" ] || { why='is not there'; return 1; }
    why=$("$1" -c "$probe" 2>&1 </dev/null) && return 0
    case $why in is\ *|lacks\ *) ;; *) why='does not start' ;; esac
    return 1
}

if [ -n "${PYTHON:-}" ]; then
    try "$PYTHON" && exec "$PYTHON" "$@"
    found="$newline  $PYTHON $why (it is what PYTHON says)"
else
    for candidate in $candidates; do
        try "$candidate" && exec "$candidate" "$@"
        [ "$why" = 'is not there' ] || found="$found$newline  $(command -v "$candidate") $why"
    done
fi

echo "Graft needs Python 3.11, 3.12 or 3.13.${found:+ What was found does not fit:}$found" >&2
case $found in *lacks*)
    echo 'On Debian, Ubuntu and WSL2, add the module with "sudo apt install python3-venv" and repeat the command.' >&2
    ;;
*)
    echo 'Install one (Debian, Ubuntu, WSL2: "sudo apt install python3 python3-venv"; macOS: "brew install python@3.13";' >&2
    echo 'or python.org), or name one: "make run PYTHON=/path/to/python3.12".' >&2
    ;;
esac
exit 1
