package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is one that this run started. It ends when its input is closed, or is killed.
type process struct {
	name  string
	cmd   *exec.Cmd
	input io.Closer
	started
}

// self starts this program again in another part, and waits until it answers.
func self(name, part string, config any) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(exe, "-part", part, "-config", string(args))}
	p.cmd.Stderr = os.Stderr
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.started)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), p.end())
	}
	return p, nil
}

// command starts another program.
func command(name string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(name), cmd: exec.Command(name, args...)}
	return p, p.cmd.Start()
}

// end stops it: kindly where it listens to its input, at once otherwise.
func (p *process) end() error {
	if p.input == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		return nil
	}
	_ = p.input.Close()
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		return fmt.Errorf("%s did not end", p.name)
	}
}

// cpu is the processor time a process used so far, in all its threads. Linux counts it in hundredths of a second.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest) // from the third on
	if len(fields) < 13 {
		return 0, errors.New("read processor time: /proc holds less than expected")
	}
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// startRedis starts one that keeps what it acknowledges, as a deployment must.
func startRedis(dir string) (*process, string, error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	p, err := command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes",
		"--appendfsync", "always", "--no-appendfsync-on-rewrite", "no", "--maxmemory-policy", "noeviction",
		"--auto-aof-rewrite-percentage", "0", "--daemonize", "no", "--logfile", filepath.Join(dir, "redis.log"))
	if err != nil {
		return nil, "", fmt.Errorf("start redis-server: %w; install it (test/run does)", err)
	}
	addr := net.JoinHostPort("127.0.0.1", port)
	return p, addr, answers(addr, p)
}

// answers waits until something listens.
func answers(addr string, p *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", p.name, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
