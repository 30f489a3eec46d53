"""A model server of one's own: GET /ping and POST /invocations on port 8080."""

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

import sageturner

app = FastAPI()
model = sageturner.load()


@app.get("/ping")
def ping():
    return {}


@app.post("/invocations")
async def invocations(request: Request):
    return await run_in_threadpool(sageturner.predict, model, await request.json())


uvicorn.run(app, host="0.0.0.0", port=8080)
