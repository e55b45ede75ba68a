// Endpoints from a file that is watched by looking at it, several times a second: that works alike for files written in
// place, files renamed over the old one, symbolic links that are switched (Kubernetes' ConfigMaps) and network file
// systems, which notifications do not. A file in which something is wrong changes nothing.

import { readEndpointList } from "../config/endpoint-list.ts";
import { endpointFileBytesMax, filePollMs } from "../base/limits.ts";
import { LogLevel } from "../base/ports.ts";
import type { TimerOwner } from "../base/timer-wheel.ts";
import type { EndpointConfig } from "../model/config.ts";
import type { Diagnostic } from "../model/diagnostic.ts";
import { sameEndpoints, type Source, type SourceEnv, type SourceReport } from "./source.ts";

/** Of a file full of mistakes the first are told. */
const MISTAKES_TOLD = 5;

export class FileSource implements Source, TimerOwner {
  endpoints: readonly EndpointConfig[] = [];
  readonly answered = true; // from the start: files do not keep anybody waiting
  private readonly path: string;
  private readonly env: SourceEnv;
  private readonly timer: number;
  /** Of the file that was read last, well or not. */
  private readStamp = "";
  /** Of another file that was seen once. It is read when it is still the same: it may be being written. */
  private newStamp = "";
  private goodMs: number | null = null;
  private trouble = "";

  constructor(path: string, env: SourceEnv) {
    this.path = path;
    this.env = env;
    this.timer = env.timers.open(this);
    this.read(env.host.fileStamp(path));
    this.again();
  }

  report(nowMs: number): SourceReport {
    const ageMs = this.goodMs === null ? null : Math.max(0, Math.round(nowMs - this.goodMs));
    return { from: "file", name: this.path, endpoints: this.endpoints.length, ageMs, trouble: this.trouble };
  }

  close(): void {
    this.env.timers.close(this.timer);
  }

  onDeadline(): void {
    const stamp = this.env.host.fileStamp(this.path);
    // A file that is as it was, and was good, is confirmed by that.
    if (stamp === this.readStamp && this.trouble === "") this.goodMs = this.env.clock.nowMs();
    if (stamp !== this.readStamp && stamp === this.newStamp && this.read(stamp)) this.env.onChange();
    this.newStamp = stamp;
    this.again();
  }

  private again(): void {
    this.env.timers.set(this.timer, this.env.clock.nowMs() + filePollMs);
  }

  /** True if the endpoints are different now. stamp: of the file as it was just before. */
  private read(stamp: string): boolean {
    let text: string;
    try {
      text = this.env.host.readFile(this.path, endpointFileBytesMax);
    } catch (error) {
      this.readStamp = stamp;
      this.complain(error instanceof Error ? error.message : String(error));
      return false;
    }
    if (this.env.host.fileStamp(this.path) !== stamp) return false; // it changed meanwhile: read again when it rests
    this.readStamp = stamp;
    const { endpoints, diagnostics } = readEndpointList(text, this.path);
    if (endpoints === null) {
      this.complainOf(diagnostics);
      return false;
    }
    this.goodMs = this.env.clock.nowMs();
    if (this.trouble !== "") {
      this.trouble = "";
      this.env.record(LogLevel.Info, "discovery works again", { from: "file", name: this.path });
    }
    if (sameEndpoints(endpoints, this.endpoints)) return false;
    this.endpoints = endpoints;
    return true;
  }

  private complainOf(diagnostics: readonly Diagnostic[]): void {
    const told = diagnostics.slice(0, MISTAKES_TOLD);
    for (const diagnostic of told) this.complain(sentence(diagnostic));
    const more = diagnostics.length - told.length;
    if (more > 0) this.complain(`${more} further mistakes in ${this.path}`);
    this.trouble = sentence(diagnostics[0]!);
  }

  private complain(trouble: string): void {
    if (this.trouble === trouble) return;
    this.trouble = trouble;
    const fields = { from: "file", name: this.path, reason: trouble, keeping: this.endpoints.length };
    this.env.record(LogLevel.Warn, "discovery has trouble", fields);
  }
}

/** "endpoints.yaml:3:5: [1].weight: expected … (hint)", on one line. */
function sentence({ at, path, message, hint }: Diagnostic): string {
  const subject = path === "" ? "" : `${path}: `;
  return `${at.file}:${at.line}:${at.column}: ${subject}${message}${hint === "" ? "" : ` (${hint})`}`;
}
