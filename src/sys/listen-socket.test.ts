// Listening sockets made by hand: options in effect, addresses of every kind, and errors that say what to do.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { getIntOption } from "./libc.ts";
import { closeFd, createListener, dupFd, formatBind, ListenError } from "./listen-socket.ts";
import type { ListenAddress, ListenOptions } from "./listen-socket.ts";
import { isLinux, platform } from "./platform.ts";
import { anyPort, dial, hasIpv6, serve, until } from "./test-kit.ts";

const folder = mkdtempSync(`${tmpdir()}/sluice-listen-`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const plain: ListenOptions = { backlog: 16, reusePort: false };
const unix = (path: string): ListenAddress => ({ ip: "", port: 0, unixPath: path });
const v4 = (ip: string, port: number): ListenAddress => ({ ip, port, unixPath: null });

function errorOf(bind: ListenAddress, options = plain): ListenError {
  try {
    closeFd(createListener(bind, options).fd);
  } catch (error) {
    if (error instanceof ListenError) return error;
    throw error;
  }
  throw new Error(`listening on ${formatBind(bind)} was possible`);
}

describe("options", () => {
  test("port 0 becomes a real port, and the descriptor is a listening socket that may be shared", () => {
    const one = createListener(anyPort, { backlog: 16, reusePort: true });
    expect(one.port).toBeGreaterThan(0);
    expect(getIntOption(one.fd, platform.solSocket, platform.soReusePort)).toBe(1);
    expect(getIntOption(one.fd, platform.solSocket, platform.soReuseAddr)).toBe(1);
    const two = createListener(v4("127.0.0.1", one.port), { backlog: 16, reusePort: true });
    expect(two.port).toBe(one.port);
    closeFd(one.fd);
    closeFd(two.fd);
  });

  test("dupFd gives a second descriptor of the same socket", () => {
    const one = createListener(anyPort, plain);
    const copy = dupFd(one.fd);
    expect(copy).not.toBe(one.fd);
    closeFd(one.fd);
    expect(errorOf(v4("127.0.0.1", one.port)).code).toBe("EADDRINUSE");
    closeFd(copy);
    closeFd(createListener(v4("127.0.0.1", one.port), plain).fd);
    expect(dupFd(copy)).toBe(-1);
  });

  test.if(hasIpv6)('"::" takes IPv4 clients too, "::1" leaves the port to IPv4', () => {
    const all = createListener(v4("::", 0), plain);
    expect(errorOf(v4("127.0.0.1", all.port)).code).toBe("EADDRINUSE");
    closeFd(all.fd);
    const six = createListener(v4("::1", 0), plain);
    expect(getIntOption(six.fd, 41, platform.ipv6V6Only)).toBe(1);
    closeFd(createListener(v4("127.0.0.1", six.port), plain).fd);
    closeFd(six.fd);
  });
});

describe("unix sockets", () => {
  test("the file has the mode asked for, and everybody's by default", () => {
    const path = `${folder}/mode.sock`;
    closeFd(createListener(unix(path), { ...plain, unixMode: 0o600 }).fd);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    closeFd(createListener(unix(path), plain).fd);
    expect(statSync(path).mode & 0o777).toBe(0o666);
  });

  test("a file nobody listens on any more is replaced; a live one is not", async () => {
    const path = `${folder}/live.sock`;
    closeFd(createListener(unix(path), plain).fd);
    const server = serve(unix(path));
    expect(errorOf(unix(path)).code).toBe("EADDRINUSE");
    const client = dial(server.net, unix(path));
    await until("service after the attempt", () => client.opened === 1);
    client.connection.abort();
    server.listening.close();
  });

  test("a file that is no socket is left alone", () => {
    const path = `${folder}/notes.txt`;
    writeFileSync(path, "precious");
    const error = errorOf(unix(path));
    expect(error.code).toBe("EADDRINUSE");
    expect(error.message).toContain("not a socket");
    expect(statSync(path).size).toBe(8);
  });

  test.if(isLinux)("abstract names need no file", () => {
    const name = `\0sluice-listen-${process.pid}`;
    const one = createListener(unix(name), plain);
    expect(errorOf(unix(name)).message).toContain(`unix:@sluice-listen-${process.pid}`);
    closeFd(one.fd);
  });
});

describe("errors", () => {
  test("an address in use", () => {
    const one = createListener(anyPort, plain);
    const error = errorOf(v4("127.0.0.1", one.port));
    expect([error.name, error.code]).toEqual(["ListenError", "EADDRINUSE"]);
    expect(error.message).toBe(`cannot listen on 127.0.0.1:${one.port}: the address is in use (EADDRINUSE)`);
    expect(error.hint).toContain("choose another port");
    closeFd(one.fd);
  });

  test("an address of another machine", () => {
    const error = errorOf(v4("192.0.2.1", 0));
    expect(error.code).toBe("EADDRNOTAVAIL");
    expect(error.hint).toContain("0.0.0.0");
  });

  test("a name, a bad literal, a path too long, a missing directory", () => {
    expect(errorOf(v4("localhost", 80)).hint).toContain("not a name");
    expect(errorOf(v4("1.2.3", 80)).code).toBe("EINVAL");
    expect(errorOf(unix("/tmp/".padEnd(200, "x"))).hint).toContain("bytes");
    expect(errorOf(unix("")).code).toBe("EINVAL");
    expect(errorOf(unix(`${folder}/absent/x.sock`)).hint).toContain("Create the directory");
  });

  test.if(isLinux)("a port below 1024 without the right to it", () => {
    // A child drops its rights first: this process may be root.
    const script = `
      import { dropPrivileges } from "${import.meta.dir}/privileges.ts";
      import { createListener } from "${import.meta.dir}/listen-socket.ts";
      if (process.getuid() === 0) dropPrivileges("65534:65534");
      try { createListener({ ip: "127.0.0.1", port: 81, unixPath: null }, { backlog: 1, reusePort: false }); }
      catch (error) { console.log(error.code, error.hint); }`;
    const child = Bun.spawnSync([process.execPath, "-e", script]);
    const said = child.stdout.toString();
    // Systems may allow low ports to everybody (net.ipv4.ip_unprivileged_port_start): then nothing is refused.
    const lowest = Number(Bun.spawnSync(["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"]).stdout.toString());
    expect(said).toBe(lowest <= 81 ? "" : "EACCES Ports below 1024 need root or CAP_NET_BIND_SERVICE.\n");
    expect(child.exitCode).toBe(0);
  });

  test("formatBind", () => {
    expect(formatBind(v4("1.2.3.4", 80))).toBe("1.2.3.4:80");
    expect(formatBind(v4("::1", 80))).toBe("[::1]:80");
    expect(formatBind(unix("/run/x"))).toBe("unix:/run/x");
  });
});
