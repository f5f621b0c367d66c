"""The command `completion`: `bell`, a short name for `python -m pipeline`, with completion, for the shell to evaluate.

A shell completes the words of a program by its name, and `python -m pipeline` is called `python`. So a function is
defined, and what completes it; both work where `python -m pipeline` does: in the folder of the checkout.
"""

import shlex
import sys
from enum import StrEnum
from typing import Annotated

import typer

PROGRAM, VARIABLE = "bell", "_BELL_COMPLETE"

_BASH = """\
bell() { %(python)s -m pipeline "$@"; }
_bell() {
  local IFS=$'\\n'
  COMPREPLY=($(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \\
    _BELL_COMPLETE=complete_bash %(python)s -m pipeline 2>/dev/null))
}
complete -o bashdefault -o default -F _bell bell
"""
_ZSH = """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
bell() { %(python)s -m pipeline "$@" }
_bell() {
  eval "$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" \\
    _BELL_COMPLETE=complete_zsh %(python)s -m pipeline 2>/dev/null)"
}
compdef _bell bell
"""
_FISH = """\
function bell; %(python)s -m pipeline $argv; end
function __bell
  env _BELL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \\
    _TYPER_COMPLETE_ARGS=(commandline -cp) %(python)s -m pipeline 2>/dev/null
end
complete --command bell --no-files --arguments '(__bell get-args)' --condition '__bell is-args'
"""


class Shell(StrEnum):
    """The shells that can be taught."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish")]) -> None:
    """Print a short name, `bell`, with completion: eval "$(.venv/bin/python -m pipeline completion bash)"."""
    sys.stdout.write(_SCRIPTS[shell] % {"python": shlex.quote(sys.executable)})
