// SPDX-License-Identifier: GPL-2.0-or-later
//
// server one|three|udp ADDRESS:PORT: a Go program as many are, whose goroutines the runtime moves between its threads. one: net/http on one listener;
// three: on three SO_REUSEPORT listeners of this process; udp: four goroutines that read from one socket and answer.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
)

const soReuseport = 15

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func shared(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { check(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReuseport, 1)) })
}

func serve(config net.ListenConfig, address string) {
	listener, err := config.Listen(context.Background(), "tcp4", address)
	check(err)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok\n") }))
}

func answer(socket net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		n, client, err := socket.ReadFrom(buffer)
		check(err)
		_, err = socket.WriteTo(buffer[:n], client)
		check(err)
	}
}

func main() {
	switch address := os.Args[2]; os.Args[1] {
	case "one":
		serve(net.ListenConfig{}, address)
	case "three":
		for i := 0; i < 3; i++ {
			serve(net.ListenConfig{Control: shared}, address)
		}
	case "udp":
		socket, err := net.ListenPacket("udp4", address)
		check(err)
		for i := 0; i < 4; i++ {
			go answer(socket)
		}
	}
	select {}
}
