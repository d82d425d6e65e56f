#!/usr/bin/env bash
# What is to be measured on a machine with torch and a GPU, which needs neither Ray nor a network:
#
#     benchmarks/gpu.sh OUT [DEVICE]
#
# The CUDA tests, then tables of correctness, memory and speed, each in a file of its own under OUT.
set -u -o pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: benchmarks/gpu.sh OUT [DEVICE]}
device=${2:-cuda}
python=${PYTHON:-python3}
steps=$([ "$device" = cpu ] && echo 4 || echo 40)  # the CPU is for trying this script out
members=$([ "$device" = cpu ] && echo 2 || echo 1 4 11 21 42 64)
maps=$([ "$device" = cpu ] && echo 1 || echo 1 4 11)  # of models of maps, which are larger
batch=$([ "$device" = cpu ] && echo 2 || echo 64)
repeats=$([ "$device" = cpu ] && echo 1 || echo 20)
mkdir -p "$out"
status=0

table() {  # file, command: a failure is seen in the file and in the exit status, and the rest goes on
    file=$1
    shift
    { echo "\$ $*"; "$@"; } >"$out/$file" 2>&1 || { status=1; echo "failed: $* (see $out/$file)" >&2; }
}

{
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null
    "$python" -c 'import platform, numpy, torch; print("python", platform.python_version(), "torch", torch.__version__,
        "cuda", torch.version.cuda, "numpy", numpy.__version__)'
} >"$out/environment.txt"
table tests.txt "$python" -m pytest -q -p no:cacheprovider -m cuda tests/hvae_core
table checks.md "$python" -m benchmarks.gpu_checks --device "$device" --steps $((5 * steps))
precisions=$([ "$device" = cpu ] && echo float32 || echo float32 tf32)
for precision in $precisions; do
    # shellcheck disable=SC2086  # the members are a list
    table "pack-step-$precision.md" "$python" -m benchmarks.pack_step --model mlp4x40 --batch-size 100 \
        --device "$device" --precision "$precision" --steps "$steps" --members $members
done
for model in conv3x8x7x7 resnet3x8x14x14f32 "resnet3x8x16x16b6f100 --image 3x32x32/256 --mixture 10"; do
    # shellcheck disable=SC2086  # a model, and its own options
    table "pack-step-${model%% *}.md" "$python" -m benchmarks.pack_step --model $model --batch-size "$batch" \
        --device "$device" --steps "$steps" --members $maps
done
table conv-stack.md "$python" -m benchmarks.conv_stack --device "$device" --steps "$repeats"
exit $status
