#!/usr/bin/env bash
# A Python virtual environment for the interop suite, with PyTorch, transformers and PEFT:
#   tests/interop/setup.sh FOLDER
# Prints their versions; a FOLDER that has them already is left as it is. Where they can't be had it exits 1 with
# one line, and the whole of pip's output is in FOLDER/setup.log.
set -u
folder=${1:?usage: setup.sh FOLDER}
python=$folder/bin/python
log=$folder/setup.log

versions() {
  "$python" -c 'import torch, transformers, peft
print("torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__)'
}

install() { # The index's torch brings 5 GB of CUDA along: a CPU wheel from pip's own find-links comes first.
  local pip=("$python" -m pip install --no-cache-dir)
  python3 -m venv "$folder" || return
  "${pip[@]}" --no-index --no-deps torch || "${pip[@]}" torch || return
  "${pip[@]}" 'transformers>=5,<6' 'peft>=0.17,<1'
}

fail() {
  echo "setup.sh: expected a folder with PyTorch, transformers and PEFT at $folder, but found: $1" >&2
  exit 1
}

if versions 2>/dev/null; then exit 0; fi
reason=$(mkdir -p "$folder" 2>&1) || fail "$reason"
# Files of the suite run side by side: the second one waits, and finds what the first has installed.
if command -v flock >/dev/null; then
  exec 9>"$folder/lock"
  flock 9
  if versions 2>/dev/null; then exit 0; fi
fi
if install >"$log" 2>&1 && versions 2>>"$log"; then exit 0; fi
fail "$(grep -iE 'error|not found|not available' "$log" | tail -n 1) (all of it is in $log)"
