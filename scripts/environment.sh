# Sourced by demo and test. Makes the virtual environment that LOSSCTL_VENV names (.venv in the repository unless set),
# installs "$1" (. or .[test]) into it at the pinned versions, puts it first on PATH, and changes to the repository.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${LOSSCTL_VENV:-$root/.venv}
[[ $venv == /* ]] || venv=$PWD/$venv
cd "$root"

# A venv without pip is one that was left half made, for example where the system lacks its venv package.
if [[ ! -x $venv/bin/pip ]]; then
    python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "lossctl needs Python 3.11 or newer, but '$python' is: $("$python" -V 2>/dev/null || echo missing)" >&2
        echo "Name another one, for example: PYTHON=python3.12 bash scripts/$(basename "$0")" >&2
        exit 1
    fi
    echo "Making a virtual environment in $venv; the first installation takes some minutes."
    "$python" -m venv "$venv"
fi

# pip builds and installs a local directory anew on every run, even where the version has not changed.
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$venv/bin/python" -m pip install -q -c constraints.txt "$1"
export LOSSCTL_VENV=$venv PATH=$venv/bin:$PATH
