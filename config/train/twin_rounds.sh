#!/bin/sh
# Makes the policy of the twin from nothing, in nine rounds of collecting and training, on two
# processes. Started again, it goes on where it was interrupted.
#   make policy OUT=runs/policy        # afterwards: OUT/round9/checkpoint
set -eu

out=${1:?"folder for the policy is missing"}
if [ $# -ne 1 ]; then echo "error: one folder is needed" >&2; exit 2; fi

data() { # round part: a folder of demonstrations
    echo "$out/round$1/$2"
}

collect() { # round part first-seed options...
    at=$(data "$1" "$2")
    seed=$3
    shift 3
    adp-ros collect --workers 2 --keep-every 3 --seed "$seed" --out "$at" "$@"
}

correct() { # round part first-seed options...: moved by the policy of the round before
    round=$1
    part=$2
    seed=$3
    shift 3
    collect "$round" "$part" "$seed" --policy "$out/round$((round - 1))/checkpoint" "$@"
}

train() { # round recipe data...
    round=$1
    recipe=$2
    shift 2
    if [ -d "$out/round$round/checkpoint" ]; then return; fi
    if [ "$round" -gt 1 ]; then set -- --checkpoint "$out/round$((round - 1))/checkpoint" --data "$@"
    else set -- --data "$@"; fi
    torchrun --standalone --nproc-per-node 2 -m adp_ros.cli train "$recipe" --out "$out/round$round" "$@"
}

export OMP_NUM_THREADS=1
picks="carrot_to_pan cube_to_plate pot_to_plate"
# shellcheck disable=SC2086 # the list of tasks is meant to be split

collect 1 experts 0 --task all --episodes 110 --mix clean:1,noisy:2
train 1 twin "$(data 1 experts)"

correct 2 mistakes 320000 --task all --episodes 32 --expert-share 0.25 --time-limit 24
set -- "$(data 1 experts)" "$(data 2 mistakes)"
train 2 twin_corrected "$@"

correct 3 mistakes 330000 --task all --episodes 96 --expert-share 0.25 --time-limit 24
set -- "$@" "$(data 3 mistakes)"
train 3 twin_further "$@"

correct 4 mistakes 340000 --task all --episodes 30 --expert-share 0.15 --time-limit 24
set -- "$@" "$(data 4 mistakes)"
train 4 twin_squeezed "$@"

correct 5 wiping 400000 --task wipe_table --episodes 90 --expert-share 0.2 --time-limit 40
correct 5 picks 410000 --task $picks --episodes 40 --expert-share 0.2 --time-limit 24
collect 5 experts 420000 --task all --episodes 36 --mix clean:1,noisy:2
set -- "$(data 5 wiping)" "$(data 5 picks)" "$(data 5 experts)"
train 5 twin_steady "$@"

collect 6 experts 460000 --task wipe_table --episodes 120 --mix clean:1,noisy:3
correct 6 wiping 470000 --task wipe_table --episodes 40 --expert-share 0.5 --time-limit 36
correct 6 picks 440000 --task $picks --episodes 40 --expert-share 0.1 --time-limit 30
set -- "$@" "$(data 6 experts)" "$(data 6 wiping)" "$(data 6 picks)"
train 6 twin_steady "$@"

correct 7 wiping 480000 --task wipe_table --episodes 60 --expert-share 0.05 --time-limit 70
correct 7 carrots 490000 --task carrot_to_pan --episodes 60 --expert-share 0.05 --time-limit 40
collect 7 experts 500000 --task carrot_to_pan --episodes 60 --mix clean:0,noisy:1
correct 7 picks 510000 --task cube_to_plate pot_to_plate --episodes 24 --expert-share 0.05 --time-limit 30
set -- "$@" "$(data 7 wiping)" "$(data 7 carrots)" "$(data 7 experts)" "$(data 7 picks)"
train 7 twin_steady "$@"

correct 8 wiping 520000 --task wipe_table --episodes 60 --expert-share 0.05 --time-limit 60
correct 8 carrots 530000 --task carrot_to_pan --episodes 60 --expert-share 0.05 --time-limit 40
correct 8 picks 540000 --task cube_to_plate pot_to_plate --episodes 30 --expert-share 0.05 --time-limit 30
set -- "$@" "$(data 8 wiping)" "$(data 8 carrots)" "$(data 8 picks)"
train 8 twin_steady "$@"

collect 9 experts 600000 --task wipe_table --episodes 120 --mix clean:1,noisy:3
correct 9 wiping 610000 --task wipe_table --episodes 80 --expert-share 0.4 --time-limit 40
set -- "$@" "$(data 9 experts)" "$(data 9 wiping)"
train 9 twin_steady "$@"
