#!/usr/bin/env bash
# Sets up an emulated 64-bit ARM machine for benchmarks/machines.py: a Debian Python 3.11 for arm64 under qemu (user
# mode), with NumPy, SciPy and scikit-learn of the versions that PYTHON has. About 250 MB, and two minutes.
#   benchmarks/arm64.sh FOLDER PYTHON      then:   python -m benchmarks.machines --arm FOLDER
# Needs Debian 12, and root or sudo where qemu-user-static is not installed yet; all else goes into FOLDER.
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
python=$2
as_root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
command -v qemu-aarch64-static >/dev/null || {
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq --no-install-recommends qemu-user-static >/dev/null
}

if [ ! -e "$folder/root/usr/bin/python3.11" ]; then
    mkdir -p "$folder/debs/partial" "$folder/lists/partial" "$folder/root"
    arm="-oAPT::Architecture=arm64 -oAPT::Architectures=arm64 -oDir::State::Lists=$folder/lists"
    apt-get $arm update -qq
    (cd "$folder/debs" && apt-get $arm download -qq libc6 libpython3.11-minimal libpython3.11-stdlib python3.11-minimal \
        zlib1g libexpat1 libffi8 libssl3 libbz2-1.0 liblzma5 libgcc-s1 libstdc++6 libcrypt1 2>/dev/null)
    for package in "$folder"/debs/*.deb; do dpkg -x "$package" "$folder/root"; done
fi

platforms=$(printf -- '--platform manylinux_2_%s_aarch64 ' 34 31 28 27 26 24 17; echo --platform manylinux2014_aarch64)
packages="numpy scipy scikit-learn joblib threadpoolctl pydantic pydantic-core annotated-types typing-extensions
    typing-inspection"
"$python" -c "import sys, importlib.metadata as m; print(*(f'{p}=={m.version(p)}' for p in sys.argv[1:]))" $packages |
    xargs "$python" -m pip install --quiet --upgrade --no-deps --target "$folder/site" $platforms --python-version 3.11 \
        --implementation cp --only-binary=:all:
