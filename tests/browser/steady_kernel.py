"""Start ipykernel 7.0 to 7.3 without the fault by which a kernel may never become ready.

It sends replies on the shell's socket past the stream that reads requests from it, which can
swallow the news of a request: the request is read when another client connects, and not before
(https://github.com/ipython/ipykernel/issues/1554). ipykernel 7.4 sends replies through the stream.
"""

import sys


def main():
    # The folder of this file is no place to import from.
    del sys.path[0]
    from ipykernel.kernelapp import IPKernelApp
    from ipykernel.subshell_manager import SubshellManager

    def send(manager, message):
        IPKernelApp.instance().kernel.shell_stream.send_multipart(message)

    SubshellManager._send_on_shell_channel = send
    IPKernelApp.launch_instance()


if __name__ == "__main__":
    main()
