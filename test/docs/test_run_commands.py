"""`make check-docs` runs what it should and reports every block that fails."""

import run_commands

PAGE = """# Page

## First

```sh
WORD=kept
```

```sh
test "$WORD" = kept
```

```sh
false
```

```sh lab
exit 9
```

## Second

```sh live until: ready
trap 'exit 130' INT
echo ready
while true; do sleep 0.05; done
```

```python
print(1 + 1)
```

```console
$ test 1 = 2
some output
```

## Third

```sh live until: ready
trap 'exit 7' INT
echo ready
while true; do sleep 0.05; done
```
"""


def run(text, folder):
    """Run one page; return the lines and notes of what failed."""
    page = folder / "page.md"
    page.write_text(text)
    return [place.rpartition("page.md")[2] for place in run_commands.run_page(page, folder, False)]


def test_only_what_fails_is_reported(tmp_path):
    """Of a page with all kinds of blocks the failing ones are named, by their line."""
    line = PAGE.splitlines().index
    failed = run(PAGE, tmp_path)
    assert failed == [
        f":{line('false')}",
        f":{line('$ test 1 = 2')}",
        ": a live block ended with status 7",
    ]


def test_a_live_block_that_ends_before_it_is_ready_fails(tmp_path):
    """Nothing waits for the deadline of a program that has ended."""
    assert run("# Page\n\n```sh live until: ready\nexit 0\n```\n", tmp_path) == [":3"]


def test_a_variable_of_one_block_is_known_in_the_next(tmp_path):
    """Values with blanks and quotes come through as they were."""
    text = '# Page\n\n```sh\nA="x \'y\' z"\n```\n\n```sh\ntest "$A" = "x \'y\' z"\n```\n'
    assert run(text, tmp_path) == []
    assert run(text.replace("A=", "B="), tmp_path) == [":7"]


def test_a_block_that_takes_too_long_is_ended_with_what_it_started(tmp_path):
    """No process of the block is left: its child no longer holds the lock that it took."""
    lock = tmp_path / "lock"
    shell = run_commands.Shell(tmp_path)
    assert shell.run(f"exec 9>{lock}; flock 9; sleep 60 & sleep 60", 1.0) == 124
    assert shell.run(f"flock --timeout 5 {lock} true", 10.0) == 0
