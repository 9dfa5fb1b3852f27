package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// browser is one open page with its live connection. A thousand of them share
// a machine with the program that they measure, so they cost as little as they
// can: frames are read as they come, and of messages that are byte for byte the
// same only the first is unpacked and looked into.
type browser struct {
	all    *browsers
	socket *websocket.Conn
	shown  atomic.Int64 // time of the lag that it shows, in Unix ms; 0 before the first
}

// openBrowser reads the page and opens its live connection.
func openBrowser(ctx context.Context, all *browsers, r *reader, path string) (*browser, error) {
	topics, err := r.topicsOf(ctx, path)
	if err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{HandshakeTimeout: 30 * time.Second, EnableCompression: true, ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10}
	header := http.Header{"Cookie": {r.session.String()}, "Origin": {r.base}}
	socket, answer, err := dialer.DialContext(ctx, r.socketURL(), header)
	if err != nil {
		if answer != nil {
			err = fmt.Errorf("%w: %s", err, answer.Status)
		}
		return nil, fmt.Errorf("open the live connection: %w", err)
	}
	b := &browser{all: all, socket: socket}
	// The server says nothing before it is asked to, so nothing of its words is
	// in the library's buffer when the frames below are read past it.
	if err := socket.WriteJSON(map[string][]string{"watch": topics}); err != nil {
		_ = socket.Close()
		return nil, err
	}
	go func() {
		if err := b.listen(socket.NetConn()); err != nil && !all.closing.Load() {
			all.gone.Add(1)
		}
		_ = socket.Close()
	}()
	return b, nil
}

// The parts of a frame's first two bytes (RFC 6455, 5.2).
const (
	frameFinal      = 0x80
	frameCompressed = 0x40
	frameOpcode     = 0x0f
	opcodePing      = 9
	opcodeClose     = 8
	frameLength     = 0x7f
)

// listen reads messages until the connection ends.
func (b *browser) listen(conn io.Reader) error {
	in := bufio.NewReaderSize(conn, 4<<10)
	var message []byte
	compressed := false
	for {
		first, length, err := frameHead(in)
		if err != nil {
			return err
		}
		switch opcode := first & frameOpcode; {
		case opcode == opcodeClose:
			return io.EOF
		case opcode >= opcodeClose:
			payload := make([]byte, length)
			if _, err := io.ReadFull(in, payload); err != nil {
				return err
			}
			if opcode == opcodePing {
				if err := b.socket.WriteControl(websocket.PongMessage, payload, time.Now().Add(5*time.Second)); err != nil {
					return err
				}
			}
			continue
		case opcode != 0:
			message, compressed = message[:0], first&frameCompressed != 0
		}
		from := len(message)
		message = append(message, make([]byte, length)...)
		if _, err := io.ReadFull(in, message[from:]); err != nil {
			return err
		}
		if first&frameFinal != 0 {
			b.heard(message, compressed)
		}
	}
}

func frameHead(in *bufio.Reader) (first byte, length uint64, err error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:2]); err != nil {
		return 0, 0, err
	}
	first, length = head[0], uint64(head[1]&frameLength)
	switch length {
	case 126:
		_, err = io.ReadFull(in, head[:2])
		length = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(in, head[:])
		length = binary.BigEndian.Uint64(head[:])
	}
	if length > 16<<20 {
		return 0, 0, fmt.Errorf("a frame of %d bytes", length)
	}
	return first, length, err
}

// heard notes the lag that a message shows, if it shows one.
func (b *browser) heard(message []byte, compressed bool) {
	now := time.Now().UnixMilli()
	b.all.messages.Add(1)
	b.all.bytes.Add(int64(len(message)))
	key := maphash.Bytes(b.all.seed, message)
	at, known := b.all.lags.Load(key)
	if !known {
		at = lagTime(message, compressed)
		b.all.lags.Store(key, at)
	}
	lag := at.(int64)
	if lag == 0 {
		return
	}
	before := b.shown.Swap(lag)
	if before == 0 {
		return
	}
	for age := now - before; ; {
		oldest := b.all.oldest.Load()
		if age <= oldest || b.all.oldest.CompareAndSwap(oldest, age) {
			return
		}
	}
}

// lagTime is the time of the newest lag in a message, in Unix ms; 0 where there
// is none.
func lagTime(message []byte, compressed bool) int64 {
	if compressed {
		// A message ends where its last block was flushed (RFC 7692, 7.2.2).
		ended := io.MultiReader(bytes.NewReader(message), bytes.NewReader([]byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}))
		plain, err := io.ReadAll(flate.NewReader(ended))
		if err != nil {
			return 0
		}
		message = plain
	}
	_, rest, ok := bytes.Cut(message, []byte(`data-at=\"`))
	if !ok {
		return 0
	}
	digits, _, _ := bytes.Cut(rest, []byte(`\`))
	at, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return at
}
