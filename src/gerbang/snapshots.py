"""Generated files, kept in the repository so that a change in them is seen in review.

`python -m gerbang.snapshots` writes them, `--check` fails when one is stale. For contributors; not used at run time.
"""

import sys
from pathlib import Path

import msgspec

from gerbang import channel_guide
from gerbang.channel import all_channels
from gerbang.channels.credit_card import docs as card_docs
from gerbang.openapi import openapi_document
from gerbang.protocols.nonsnap.status import check_status_endpoint
from gerbang.protocols.snap.token_service import TOKEN_ENDPOINTS
from gerbang.sandbox.api import control_endpoints
from gerbang.settings import as_markdown
from gerbang.storage.migrating import snapshot
from gerbang.web.assets import script_inventory

ROOT = Path(__file__).resolve().parents[2]


def openapi_text() -> str:
    """openapi.json."""
    channels = all_channels()
    signed = [endpoint for channel in channels.values() for endpoint in channel.endpoints]
    document = openapi_document([*signed, check_status_endpoint(channels), *TOKEN_ENDPOINTS], control_endpoints())
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def generated() -> dict[Path, str]:
    """Every generated file with the content it should have."""
    storage = ROOT / "src" / "gerbang" / "storage"
    return {
        ROOT / "openapi.json": openapi_text(),
        ROOT / "docs" / "settings.md": as_markdown(),
        ROOT / "docs" / "channels.md": channel_guide.as_markdown(),
        ROOT / "docs" / "script-inventory.md": script_inventory(),
        ROOT / "docs" / "guides" / "test-cards.md": card_docs.as_markdown(),
        storage / "schema_sqlite.sql": snapshot("sqlite"),
        storage / "schema_postgresql.sql": snapshot("postgresql"),
    }


def main() -> int:
    """Write the files, or with --check say which are stale."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        name = path.relative_to(ROOT)
        if check:
            sys.stderr.write(f"{name} is stale: run `make snapshots` and look at the change\n")
        else:
            path.write_text(generated()[path], encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
