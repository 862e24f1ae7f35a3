"""The command `completion`, for every program of the project."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")
_HELP = """Print what makes a shell complete commands and options.

\b
bash:  put it into /etc/bash_completion.d, or ~/.local/share/bash-completion/completions
zsh:   put it into a folder of $fpath, named with an underscore before the program's name
fish:  put it into ~/.config/fish/completions, named with .fish behind the program's name

\b
Examples:
  {program} completion bash > {program}
  {program} completion zsh > _{program}
  {program} completion fish > {program}.fish
"""


def _completion(program: str) -> click.Command:
    """Make the command for a program."""

    @click.command("completion", help=_HELP.format(program=program))
    @click.argument("shell", type=click.Choice(_SHELLS))
    @click.pass_context
    def command(context: click.Context, shell: str) -> None:
        kind = get_completion_class(shell)
        if kind is None:
            raise AssertionError(shell)
        variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
        # Not kind.source(): for bash that starts one, to see whether it is too old.
        made = kind(context.find_root().command, {}, program, variable)
        click.echo(made.source_template % made.source_vars(), nl=False)

    return command


operate = _completion("sftp-mfa")
admin = _completion("sftp-mfa-admin")
transfer = _completion("sftp-mfa-cli")
