// Who "user:group" is, and that a process which became somebody else stays so, in every thread.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { lookUpIdentity } from "./privileges.ts";

const folder = mkdtempSync(`${tmpdir()}/sluice-users-`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const passwd = `${folder}/passwd`;
const group = `${folder}/group`;
writeFileSync(passwd, "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/bin/false\n# comment\n");
writeFileSync(group, "root:x:0:\nwww:x:34:\nlogs:x:40:web,root\ncerts:x:41:web\nothers:x:42:webby\n");

describe("looking up", () => {
  const find = (name: string): ReturnType<typeof lookUpIdentity> => lookUpIdentity(name, passwd, group);

  test("a user brings all its groups", () => {
    expect(find("web")).toEqual({ uid: 33, gid: 34, groups: [34, 40, 41] });
    expect(find("33")).toEqual({ uid: 33, gid: 34, groups: [34, 40, 41] });
  });

  test("a given group is the only one; numbers need no entry", () => {
    expect(find("web:certs")).toEqual({ uid: 33, gid: 41, groups: [41] });
    expect(find("web:7777")).toEqual({ uid: 33, gid: 7777, groups: [7777] });
    expect(find("5000:5001")).toEqual({ uid: 5000, gid: 5001, groups: [5001] });
  });

  test("what is missing is named", () => {
    expect(() => find("nobody-here")).toThrow(`user "nobody-here" is not in ${passwd}`);
    expect(() => find("web:none")).toThrow(`group "none" is not in ${group}`);
    expect(() => find("5000")).toThrow("give the group too");
    for (const bad of ["", ":x", "web:", "a:b:c"]) expect(() => find(bad)).toThrow("is not of the form");
  });
});

test.if(process.getuid!() === 0)("root is given up in every thread and cannot be had again", async () => {
  const source = `
    import { dropPrivileges } from "${import.meta.dir}/privileges.ts";
    import { readdirSync, readFileSync } from "node:fs";
    await Bun.file("/etc/hostname").text(); // starts threads
    dropPrivileges("65534:65534");
    dropPrivileges("65534:65534");
    const ids = readdirSync("/proc/self/task").map((task) => {
      const status = readFileSync("/proc/self/task/" + task + "/status", "utf8");
      const value = (name) => new RegExp(name + ":\\\\s*(.*?)\\\\s*\\n").exec(status)[1];
      return ["Uid", "Gid", "Groups"].map(value).join("|");
    });
    console.log(JSON.stringify([...new Set(ids)]), ids.length > 1);
    try { dropPrivileges("0:0"); } catch (error) { console.log(error.message); }`;
  const child = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe" });
  const [ids, refusal] = (await child.stdout.text()).split("\n");
  const four = "65534\\t65534\\t65534\\t65534";
  expect(ids).toBe(`["${four}|${four}|65534"] true`);
  expect(refusal).toBe('cannot become user "0:0": only root can change its user');
});
