#!/usr/bin/env bash
# Sets up an environment of its own and runs every test. Arguments go on to pytest.
# It needs Python 3.11 or newer and git; STUDIO_TEST_VENV says where the environment lies.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; $("$python" --version) was found. Set PYTHON to another one." >&2
    exit 1
}
venv=${STUDIO_TEST_VENV:-.venv-test}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }

echo "Installing (about 6 GB and a few minutes the first time) …"
pip install --upgrade pip "setuptools>=77" wheel
pip install torch torchvision
pip install -e ".[test,yolo,ray]"
# sam2 compiles a CUDA extension unless told not to, and finds torch only without build isolation. Both
# packages are yardsticks of the parity tests, which skip where they are absent.
SAM2_BUILD_CUDA=0 pip install --no-build-isolation "sam2>=1.1" "segment-anything>=1.0" ||
    echo "The meta extra could not be installed: the parity tests will be skipped."

browser=${STUDIO_CHROMIUM:-}
for name in chromium chromium-browser google-chrome; do
    [ -n "$browser" ] || browser=$(command -v "$name" || true)
done
if [ -z "$browser" ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests …"
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    if "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; then
        browser=$(command -v chromium || true)
    fi
fi
if [ -n "$browser" ]; then
    export STUDIO_CHROMIUM=$browser
else
    echo "No Chromium was found and none could be installed: the browser tests will be skipped."
fi

export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-1} GRADIO_ANALYTICS_ENABLED=False
exec "$venv/bin/python" -m pytest "$@"
