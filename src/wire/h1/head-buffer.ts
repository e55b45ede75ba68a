// Collects a head that arrives in pieces. It looks at each new byte once and says when parsing is worth while: at the
// empty line, at a line feed that a strict parser will refuse, or over the limit. So dribbled input costs linear work.

const CR = 13;
const LF = 10;

export class HeadBuffer {
  bytes = new Uint8Array(512);
  length = 0;

  /** True while there is nothing but (the beginning of) one empty line. */
  get isBlank(): boolean {
    return this.length <= 2 && this.bytes[0] === CR;
  }

  /**
   * Appends source[start, end), all of it, for what lies behind the head must be kept. Returns true once the parser has
   * something to decide; with more than bytesMax it always has, so the size is bounded by that and one receive.
   */
  append(source: Uint8Array, start: number, end: number, bytesMax: number): boolean {
    const before = this.length;
    const room = this.bytes.length - before;
    if (end - start > room) this.grow(before + end - start);
    this.bytes.set(source.subarray(start, end), before);
    this.length = before + end - start;
    return this.ends(before) || this.length > bytesMax;
  }

  private ends(from: number): boolean {
    const { bytes, length } = this;
    for (let at = from; at < length; at++) {
      if (bytes[at] !== LF) continue;
      if (at === 0 || bytes[at - 1] !== CR) return true; // bare LF
      if (at >= 2 && bytes[at - 2] === LF) return true; // empty line
    }
    return false;
  }

  private grow(atLeast: number): void {
    let size = this.bytes.length * 2;
    while (size < atLeast) size *= 2;
    const wider = new Uint8Array(size);
    wider.set(this.bytes.subarray(0, this.length));
    this.bytes = wider;
  }
}
