// SPDX-License-Identifier: BSD-2-Clause

// A server in Go alone: one getsockopt() tells the origin, see pp_getsockopt(7). On a port without a split the header is
// still in the stream, and this program discards it, before anything else reads from the connection.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	solPP     = 0x5050
	ppTake    = 2
	recordLen = 80
	taken     = 0x04 // of the flags: the header is out of the stream
)

const (
	stateNone = iota
	statePending
	stateExpired
	stateValid
	stateLocal
	stateBad
	stateFragmented
)

var errRefused = errors.New("no origin")

// answer is what PP_TAKE says: the fields are at these places, take in the host's byte order.
type answer [recordLen]byte

func (a *answer) state() byte  { return a[0] }
func (a *answer) family() byte { return a[3] }
func (a *answer) flags() byte  { return a[6] }
func (a *answer) port() int    { return int(binary.BigEndian.Uint16(a[12:])) }
func (a *answer) take() int    { return int(*(*uint32)(unsafe.Pointer(&a[48]))) }

// ask never blocks; it discards what PP_TAKE says: those bytes have arrived.
func (a *answer) ask(fd uintptr) error {
	size := uint32(recordLen)
	_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, solPP, ppTake,
		uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	header := make([]byte, a.take())
	for len(header) > 0 {
		n, _, err := syscall.Recvfrom(int(fd), header, 0)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		header = header[n:]
	}
	return nil
}

// isThere: is the header known, and out of the stream, or known not to come?
func (a *answer) isThere() bool {
	switch a.state() {
	case statePending, stateFragmented:
		return false
	case stateValid, stateLocal:
		return a.take() > 0 || a.flags()&taken != 0
	}
	return true
}

// origin returns the client's address; nil: an ordinary client, or the proxy itself.
func origin(conn *net.TCPConn, within time.Duration) (*net.TCPAddr, error) {
	var a answer
	var failed error
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	conn.SetReadDeadline(time.Now().Add(within))
	// again when more of the header is there
	err = raw.Read(func(fd uintptr) bool {
		failed = a.ask(fd)
		return failed != nil || a.isThere()
	})
	conn.SetReadDeadline(time.Time{})
	if failed != nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errRefused, err)
	}
	switch {
	case a.state() == stateExpired || a.state() == stateBad:
		return nil, fmt.Errorf("%w: state %d, reason %d", errRefused, a.state(), a[5])
	case a.state() != stateValid:
		return nil, nil
	case a.family() == syscall.AF_INET:
		return &net.TCPAddr{IP: net.IP(a[16:20]), Port: a.port()}, nil
	case a.family() == syscall.AF_INET6:
		return &net.TCPAddr{IP: net.IP(a[16:32]), Port: a.port()}, nil
	}
	return nil, nil
}

func serve(conn *net.TCPConn) {
	defer conn.Close()
	client, err := origin(conn, 3*time.Second)
	if err != nil {
		fmt.Fprintf(conn, "554 %v\r\n", err)
		return
	}
	name := "ordinary client"
	if client != nil {
		name = fmt.Sprintf("%s port %d", client.IP, client.Port)
	}
	fmt.Fprintf(conn, "220 hello, %s\r\n", name)
	// only now: bufio reads ahead
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(conn, line)
	}
}

func main() {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{Port: 2525})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		if conn, err := listener.AcceptTCP(); err == nil {
			go serve(conn)
		}
	}
}
