"""Errors of endpoints on this machine."""

from __future__ import annotations

from tests.integration.remedies.scenario import CODE, CONFIGURED, Scenario

_DEPLOY = "sageturner deploy -e local --detach"
_INVOKE = "sageturner invoke doubler '{\"x\": 1}'"
_RECORD = "from sageturner_magic.endpoints.local.state import LocalState\n"
_FOLDER = "$SAGETURNER_STATE_DIR/endpoints/digits"
_STREAMS = CODE.replace("    time.sleep", "    yield 1\n    time.sleep").replace(
    'return {"doubled"', 'yield {"doubled"'
)
_STREAMS = _STREAMS.replace(
    '    if request.get("stop"):\n        os._exit(1)\n    yield 1\n',
    '    yield 1\n    if request.get("stop"):\n        os._exit(1)\n',
)
ENDPOINTS = {
    "ST84": Scenario(
        _DEPLOY,
        "",
        _DEPLOY,
        ("lock.release()",),
        (
            (
                f"{_RECORD}from filelock import FileLock\nroot = LocalState().root / 'locks'\n"
                "lock = FileLock(root / 'doubler.lock')\nlock.acquire()"
            ),
        ),
    ),
    "ST86": Scenario(
        _DEPLOY,
        "",
        _DEPLOY,
        (f"code/sageturner.py <- {CODE}",),
        ("code/sageturner.py <- " + CODE.replace("return 2", "os._exit(3)"),),
    ),
    "ST89": Scenario(
        "sageturner status digits",
        "chmod go-w",
        "sageturner status digits",
        (f"chmod go-w {_FOLDER}",),
        (f"chmod go+w {_FOLDER}",),
    ),
    "ST90": Scenario(
        "sageturner invoke doubler @large.json",
        "max_body_mb",
        "sageturner invoke doubler @large.json",
        (f"{CONFIGURED}serving: {{max_body_mb: 3}}\n", _DEPLOY),
        (
            f"{CONFIGURED}serving: {{max_body_mb: 1}}\n",
            _DEPLOY,
            f'large.json <- {{"x": 1, "text": "{"a" * 2_000_000}"}}',
        ),
    ),
    "ST93": Scenario(
        'sageturner invoke doubler --stream \'{"x": 1, "stop": true}\'',
        "sageturner logs doubler",
        "sageturner logs doubler",
        before=(f"code/sageturner.py <- {_STREAMS}", _DEPLOY),
    ),
    "ST95": Scenario(
        _INVOKE,
        "",
        _INVOKE,
        (_DEPLOY,),
        (
            _DEPLOY,
            (
                f"{_RECORD}import psutil\nserver = LocalState().read('doubler').server()\n"
                "server.kill()\nserver.wait()"
            ),
        ),
    ),
    "ST98": Scenario(
        _DEPLOY,
        "",
        _DEPLOY,
        (f"code/sageturner.py <- {CODE}",),
        (
            (
                "import os, pathlib\ncode = pathlib.Path('code/sageturner.py')\n"
                f"code.write_text({CODE!r}.replace('return 2',"
                " f'os.kill({os.getpid()}, 2)\\n    time.sleep(60)'))"
            ),
        ),
    ),
}
