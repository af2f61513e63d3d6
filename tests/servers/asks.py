#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""asks.py PORT COUNT CLIENTS [HEX]: COUNT datagrams to 127.0.0.1:PORT, from so many client sockets in turn, each of which waits for its answer before it asks again. HEX is
what is sent. Prints how many answers came."""
import socket
import sys

port, count, number = map(int, sys.argv[1:4])
question = bytes.fromhex(sys.argv[4]) if len(sys.argv) > 4 else b"x"
clients = []
for _ in range(number):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("127.0.0.1", port))
    client.settimeout(30)
    clients.append(client)
answers = 0
while answers < count:
    asked = clients[:count - answers]
    for client in asked:
        client.send(question)
    for client in asked:
        client.recv(2000)
    answers += len(asked)
print(answers)
