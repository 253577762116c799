"""gerbang verify."""

import click
import msgspec

from gerbang import audit
from gerbang.cli.data import open_data
from gerbang.cli.options import json_option, reads_settings
from gerbang.cli.show import counted, print_json
from gerbang.cli.trouble import Failure
from gerbang.ledger import Problem, extent
from gerbang.payments.queries import count_payments
from gerbang.storage import Tx


class Verdict(msgspec.Struct):
    """What was looked at and what does not fit."""

    ok: bool
    payments: int
    transfers: int
    accounts: int
    problems: list[Problem]


@click.command()
@json_option
@reads_settings
def verify(as_json: bool) -> None:
    """Recompute the books and name every row that does not fit.

    Reads one consistent view, beside a running server too. Exit status 1 when there is a problem.
    """
    with open_data() as data:
        damage = data.database.damage()
        if damage is not None:
            raise Failure(f"the data is damaged: {' '.join(damage.split())}; restore a backup")
        verdict = data.read(_verdict)
    if as_json:
        print_json(verdict)
    elif verdict.ok:
        looked_at = f"{counted(verdict.payments, 'payment')}, {counted(verdict.transfers, 'transfer')}, {counted(verdict.accounts, 'account')}"
        click.echo(f"{click.style('clean', fg='green')}: {looked_at}")
    else:
        for problem in verdict.problems:
            click.echo(f"{click.style(problem.check, fg='red')}: {problem.text}")
        click.echo(f"{counted(len(verdict.problems), 'problem')} found.", err=True)
    if not verdict.ok:
        click.get_current_context().exit(1)


def _verdict(tx: Tx) -> Verdict:
    problems = audit.problems(tx)
    transfers, accounts = extent(tx)
    return Verdict(ok=not problems, payments=count_payments(tx), transfers=transfers, accounts=accounts, problems=problems)
