// SETTINGS: values at the ends of their ranges and one beyond, and what the encoder hears.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../../base/bytes.ts";
import { H2Error, Setting } from "./frame.ts";
import { decodeSettings, H2Settings, putSetting } from "./settings.ts";

interface Decoded {
  readonly error: H2Error;
  readonly settings: H2Settings;
  readonly tables: readonly number[];
}

function decode(
  list: readonly (readonly [number, number])[],
  fromServer = false,
  settings = new H2Settings(),
): Decoded {
  const out = new Scratch(1);
  out.putText("xx");
  for (const [id, value] of list) putSetting(out, id as Setting, value);
  const tables: number[] = [];
  const encoder = { setPeerTable: (bytes: number): void => void tables.push(bytes) };
  return { error: decodeSettings(out.bytes, 2, out.length, settings, fromServer, encoder), settings, tables };
}

const largest = 0xffff_ffff;

describe("ranges (RFC 9113 6.5.2)", () => {
  test.each([
    [Setting.HeaderTableSize, largest, H2Error.None],
    [Setting.EnablePush, 0, H2Error.None],
    [Setting.EnablePush, 1, H2Error.None],
    [Setting.EnablePush, 2, H2Error.Protocol],
    [Setting.MaxConcurrentStreams, 0, H2Error.None],
    [Setting.MaxConcurrentStreams, largest, H2Error.None],
    [Setting.InitialWindowSize, 0, H2Error.None],
    [Setting.InitialWindowSize, 0x7fff_ffff, H2Error.None],
    [Setting.InitialWindowSize, 0x8000_0000, H2Error.FlowControl],
    [Setting.MaxFrameSize, 16_383, H2Error.Protocol],
    [Setting.MaxFrameSize, 16_384, H2Error.None],
    [Setting.MaxFrameSize, 0xff_ffff, H2Error.None],
    [Setting.MaxFrameSize, 0x100_0000, H2Error.Protocol],
    [Setting.MaxHeaderListSize, largest, H2Error.None],
    [Setting.EnableConnectProtocol, 1, H2Error.None],
    [Setting.EnableConnectProtocol, 2, H2Error.Protocol],
    [7, largest, H2Error.None],
    [0, 1, H2Error.None],
    [0xffff, largest, H2Error.None],
  ])("setting %i of %i: error %i", (id, value, error) => expect(decode([[id, value]]).error).toBe(error));
  test("a server may not offer push", () => {
    expect(decode([[Setting.EnablePush, 1]], true).error).toBe(H2Error.Protocol);
    expect(decode([[Setting.EnablePush, 0]], true).error).toBe(H2Error.None);
  });
  test("RFC 8441 3: extended CONNECT is not taken back", () => {
    const { settings } = decode([[Setting.EnableConnectProtocol, 1]]);
    expect(decode([[Setting.EnableConnectProtocol, 1]], false, settings).error).toBe(H2Error.None);
    expect(decode([[Setting.EnableConnectProtocol, 0]], false, settings).error).toBe(H2Error.Protocol);
    expect(decode([[Setting.EnableConnectProtocol, 0]]).error).toBe(H2Error.None);
  });
});

test("values, the last of several counts", () => {
  const { settings } = decode([
    [Setting.HeaderTableSize, 1],
    [Setting.EnablePush, 0],
    [Setting.MaxConcurrentStreams, 2],
    [Setting.InitialWindowSize, 3],
    [Setting.InitialWindowSize, 4],
    [Setting.MaxFrameSize, 20_000],
    [Setting.MaxHeaderListSize, largest],
    [Setting.EnableConnectProtocol, 1],
  ]);
  expect(settings).toEqual(
    Object.assign(new H2Settings(), {
      headerTableSize: 1,
      enablePush: false,
      maxConcurrentStreams: 2,
      initialWindowSize: 4,
      maxFrameSize: 20_000,
      maxHeaderListSize: largest,
      enableConnectProtocol: true,
    }),
  );
});

test("the encoder hears of each size of its table, in order", () => {
  const sizes = [100, 0, 4096].map((size) => [Setting.HeaderTableSize, size] as const);
  expect(decode(sizes).tables).toEqual([100, 0, 4096]);
});
