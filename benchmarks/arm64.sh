#!/usr/bin/env bash
# Sets up an emulated 64-bit ARM machine for benchmarks/machines.py: this Debian's Python for arm64 under qemu (user
# mode), with NumPy, SciPy, scikit-learn and pandas of the versions that PYTHON has. About 300 MB, and a minute.
#   benchmarks/arm64.sh FOLDER PYTHON      then:   python -m benchmarks.machines --arm FOLDER
# Needs root or sudo where qemu is not installed yet; all else goes into FOLDER.
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
python=$2
command -v qemu-aarch64-static qemu-aarch64 >/dev/null || {
    as_root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq --no-install-recommends qemu-user-static >/dev/null
}

if [ ! -e "$folder/root/usr/bin/python3" ]; then
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/root"
    : >"$folder/status" # Nothing is installed there: APT fetches all that Python needs, and nothing else.
    arm=(-qq -oAPT::Architecture=arm64 -oAPT::Architectures=arm64 -oDir::State::Lists="$folder/lists"
        -oDir::State::status="$folder/status" -oDir::Cache="$folder/cache" -oDebug::NoLocking=1)
    apt-get "${arm[@]}" update
    apt-get "${arm[@]}" install -y --download-only --no-install-recommends python3 libstdc++6
    for package in "$folder"/cache/archives/*.deb; do dpkg -x "$package" "$folder/root"; done
    rm -rf "$folder/cache" "$folder/lists"
fi

version=$(basename "$(readlink "$folder/root/usr/bin/python3")")
platforms=$(printf -- '--platform manylinux_2_%s_aarch64 ' 34 31 28 27 26 24 17; echo --platform manylinux2014_aarch64)
# What the trainer imports, and what that needs in turn.
wanted=$("$python" - numpy scipy scikit-learn pandas threadpoolctl pydantic pyyaml <<'P'
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution

found, left = {}, sys.argv[1:]
while left:
    name = re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", left.pop())[0]).lower()
    try:
        package = distribution(name)
    except PackageNotFoundError:  # Needed on other systems only.
        continue
    if name not in found:
        found[name] = f"{name}=={package.version}"
        left += [needed for needed in package.requires or [] if "extra ==" not in needed]
print("\n".join(sorted(found.values())))
P
)
if [ "$wanted" != "$(cat "$folder/site.txt" 2>/dev/null)" ]; then
    rm -rf "$folder/site"
    "$python" -m pip install --quiet --no-deps --target "$folder/site" $platforms --implementation cp \
        --python-version "${version#python}" --only-binary=:all: $wanted
    echo "$wanted" >"$folder/site.txt"
fi
