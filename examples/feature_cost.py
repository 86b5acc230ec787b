"""What features of all training faces of FER2013 cost: processor seconds, and the peak memory of the process.

    python examples/feature_cost.py lbp hog "union(of=[hog, lbp])"

Each is computed in a process of its own, FER2013 being in FERBENCH_DATA. Processor seconds are those of all threads
together: with two cores the wait is half of them at best, all of them at worst. The faces, 66 MB, and the rows
(D × 114 kB) are in the peak.
"""

import argparse
import subprocess
import sys
import time

from ferbench.benchmarks.worker import peak_rss_mib
from ferbench.datasets import load_dataset
from ferbench.registry import create


def measure(spec: str) -> None:
    """Print one row of the table."""
    samples = load_dataset("fer2013", split="train")
    features = create("features", spec)
    clock = time.process_time()
    rows = features.fit_transform(samples.images, samples.labels)
    seconds = time.process_time() - clock
    print(
        f"{spec:<28} {rows.shape[0]:>7,} {rows.shape[1]:>7,} {seconds:>9.1f} {peak_rss_mib() / 1024:>9.2f}", flush=True
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", nargs="+", help="specs of features")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process, without a heading
    arguments = parser.parse_args()
    if arguments.here:
        measure(arguments.features[0])
    else:
        print(f"{'features':<28} {'faces':>7} {'D':>7} {'CPU s':>9} {'peak GiB':>9}", flush=True)
        for one in arguments.features:
            subprocess.run([sys.executable, __file__, "--here", one], check=True)
