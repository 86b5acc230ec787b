#!/usr/bin/env bash
# Trains the networks of the literature on FER2013's Training by their presets; each goes on where it stopped.
# To be started in the folder of the sources. 'ferbench show haar-krishna-cnn' says what of a recipe is published.
#   bash examples/literature/train.sh            all of them: days on two cores
#   bash examples/literature/train.sh lenet      only these
# Then: ferbench run examples/literature/suite.yaml --profile full, without the rows that were not trained.
# --hold-out: where a recipe chooses an epoch or a rate, it does so on a tenth of Training, never on PublicTest.
set -euo pipefail
known=(lenet mini-xception krishna-cnn emosense-4l emosense-8l emosense-10l report-cnn keras-cnn wavelet-cnn plain-cnn vgg resnet)
for name in "$@"; do
    [[ " ${known[*]} " == *" $name "* ]] || { echo "no such network: $name; known: ${known[*]}" >&2; exit 2; }
done
mkdir -p models/literature
for name in "${@:-${known[@]}}"; do
    case $name in krishna-cnn | report-cnn) options=(--hold-out 0.1) ;; *) options=() ;; esac
    ferbench train "haar-$name" --dataset fer2013 --val-split val \
        --out "models/literature/$name" --curve "models/literature/$name.svg" "${options[@]}"
done
