"""Images run on this machine by SageMaker's container contract.

    runner.py   one container: start it as SageMaker does, ping, stop, why it ended
    keeper.py   the process that holds a container and removes it when its owner ends
    keeping.py  the owner's side of that: start a keeper, ask it, end it
    smoke.py    whether an image keeps the contract
    deploy.py   a container behind a local endpoint

The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""
