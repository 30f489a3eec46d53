"""The model server: what runs inside the container, and behind a local endpoint.

Started as `PYTHON <this folder>/__main__.py serve` (`serve` may be left out). The folder is
copied into images and runs from wherever it lies; it imports nothing of the other rooms, and
the package it becomes is called `sageturner_server`.

Topology. A front process owns the port and never runs user code: HTTP, queue, limits, /ping.
One or more worker processes hold the model and run load and predict. So a call that holds the
GIL cannot stall /ping, a time limit can end a worker, a crash costs only the requests that it
ran, and the socket answers from the first moment.

`front` is the first, `worker` the second. Between them: `frames` on a socket pair, and
`shared_page`. `codec` reads requests and writes responses: other rooms may import it, and it
alone. All use `settings`, `logs`, `masking` and `problems`; `aws` reads secrets. Each module's
first line says its job.

Environment:
    SAGETURNER_PROGRAM_DIR  folder of sageturner.py; the worker's working directory and first on
                            its sys.path (default /opt/program)
    SM_MODEL_DIR            what load(model_dir) gets (default /opt/ml/model); user code sees it too
    SAGETURNER_SERVING      the `serving` section of the configuration as JSON
    SAGETURNER_SECRETS      JSON {"region", "references": {NAME: REFERENCE}}: variables that each
                            worker reads from AWS at its start, with the endpoint's role, before it
                            imports user code. Without a reference the variable is set already. All
                            values are masked in logs and in error responses
    SAGETURNER_HOST         address to listen on (default 0.0.0.0)
    SAGETURNER_PORT         port (default: SAGEMAKER_BIND_TO_PORT, otherwise 8080); 0 picks one,
                            which the `listening` line of the log names
    SAGETURNER_TOKEN        if set, everything but GET /ping requires it: `Authorization: token T`
                            or `Bearer T`, or `?token=T` (401 without, 403 with a wrong one)
    SAGETURNER_PACKAGES     folder of the server's own dependencies: the front runs with it and
                            without the user's site-packages; a worker takes at most orjson from
                            it. Unset: the interpreter's own packages are used
    SAGETURNER_ENDPOINT     name of the endpoint, the dimension of its EMF metrics
    SAGETURNER_LOG          json (default) or text: the form of the server's own lines (stderr);
                            what user code prints passes through unchanged
Local endpoints also use:
    SAGETURNER_LISTEN_FD    an inherited, bound and listening TCP socket in place of host and port
    SAGETURNER_LIFELINE_FD  the read end of an inherited pipe; at its end of file the server and
                            its workers end at once
    SAGETURNER_CONTROL      path of a unix socket (mode 0600): whoever connects gets one JSON line
                            {"state": "loading"|"ready"|"failed"|"draining", "pid", "load_seconds",
                            "error"} with the listening socket attached (SCM_RIGHTS)
    SAGETURNER_LOCAL        1: the endpoint is local: requests with the Host or Origin of another
                            machine are refused, except those in serving.allowed_hosts
    SAGETURNER_ACCEPT       `ready`: connections are accepted only once the model is loaded

Exit status: 0 after SIGTERM, 1 when load fails, 2 when the environment is wrong.
"""
