"""Serve a web page: name expressions before a camera, in photographs and videos.

  ferbench serve                      for this machine alone, at 127.0.0.1:8000
  ferbench serve --source synthetic   drawn faces in place of a camera
  ferbench serve --pipeline tiny --pipeline models/lbp --port 0

Nothing that the page is shown leaves this machine. Ctrl-C stops. /openapi.json describes the JSON API.
"""

from __future__ import annotations

import argparse
import ipaddress
import sys

from ferbench.realtime.defaults import DEFAULT_SMOOTHING, PAGE_PIPELINES

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench serve``."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (default: 127.0.0.1, which only this machine reaches)",
    )
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one (default: 8000)")
    parser.add_argument(
        "--pipeline",
        action="append",
        metavar="NAME|FOLDER",
        help="a shipped model or the folder of a saved pipeline to choose from; may be repeated, the first is the "
        f"default (default: {', '.join(PAGE_PIPELINES)})",
    )
    parser.add_argument(
        "--source",
        default="0",
        metavar="SOURCE",
        help="this machine's camera, a file, an address or synthetic, for those who ask the page for it; none offers "
        "none (default: 0, the first camera)",
    )
    parser.add_argument(
        "--smooth",
        default=DEFAULT_SMOOTHING,
        metavar="HOW",
        help="smoothing over the frames of a stream: none, mean:N, ema:A, median:N, majority:N or hmm:P, with or "
        "without +hysteresis:X (default: %(default)s)",
    )
    parser.add_argument("--detector", metavar="NAME", help="another detector than the pipelines' own, as: haar")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="where the classifiers run (default: auto, a GPU if the pipeline's runtime can use one)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name by which browsers may call this server, as behind a proxy; may be repeated",
    )


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench serve``; 0 when it was stopped."""
    from ferbench.realtime.web import Service, Settings, named_pipelines
    from ferbench.realtime.web.server import is_loopback, require_packages, serve

    require_packages()
    is_local = is_loopback(args.host)
    settings = Settings(
        pipelines=named_pipelines(args.pipeline or PAGE_PIPELINES),
        source=None if args.source == "none" else args.source,
        smooth=args.smooth,
        detector=args.detector,
        device=args.device,
        is_local=is_local,
        hosts=tuple(name.lower() for name in (*args.allow_host, *_names(args.host))),
    )
    service = Service(settings)

    def tell(url: str) -> None:
        if not is_local:
            print(
                f"ferbench: warning: other machines can reach {args.host}: whoever can may use the page and, unless "
                "--source none, this machine's camera; there is no password and no encryption",
                file=sys.stderr,
            )
        for model in service.models:
            print(f"{model.name}: device: {model.device}", file=sys.stderr)
        print(f"ferbench serves {', '.join(settings.pipelines)} on {url} (Ctrl-C stops)", flush=True)

    serve(service, args.host, args.port, on_ready=tell)
    print("stopped; uploads are deleted", file=sys.stderr)
    return 0


def _names(host: str) -> list[str]:
    """The name that the server was told to listen on, by which its page is opened; none for an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return [host]
    return []
