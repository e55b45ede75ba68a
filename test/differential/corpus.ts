// Byte strings on whose meaning HTTP implementations are known to differ: request smuggling by contradictory framing,
// by white space and line ends, by chunk sizes, by field names, by targets. What Sluice makes of each is written beside
// it; where nginx or HAProxy make something else of it, the reason is written in disagreements.golden.

/** One byte string, as Latin-1 text. Behind it the test sends a plain "GET /end". */
export interface Case {
  readonly name: string;
  readonly bytes: string;
  /**
   * What Sluice does: the requests it forwards, then a refusal if there is one: `POST /a "body", GET /end` or
   * `refused 400`.
   */
  readonly sluice: string;
}

type Row = readonly [name: string, bytes: string, sluice: string];

const BAD = "refused 400";
const end = "GET /end";
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const post = (...lines: readonly string[]): string =>
  `POST /a HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const get = (...lines: readonly string[]): string => post(...lines).replace("POST", "GET");
const CL5 = "Content-Length: 5";
const TE = "Transfer-Encoding: chunked";
const hello = "5\r\nhello\r\n0\r\n\r\n";
const taken = `POST /a "hello", ${end}`;

const plain: readonly Row[] = [
  ["GET", get(), `GET /a "", ${end}`],
  ["POST with a length", `${post(CL5)}hello`, taken],
  ["POST chunked", post(TE) + hello, taken],
  ["POST without a body", post(), `POST /a "", ${end}`],
  ["POST with an empty body", post("Content-Length: 0"), `POST /a "", ${end}`],
  ["GET with a body", `${get(CL5)}hello`, `GET /a "hello", ${end}`],
  ["pipelined", get() + post(CL5) + "hello" + get(), `GET /a "", POST /a "hello", GET /a "", ${end}`],
];

const framing: readonly Row[] = [
  ["CL.TE", `${post("Content-Length: 6", TE)}0\r\n\r\nG`, BAD],
  ["TE.CL", `${post(TE, "Content-Length: 4")}5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n`, BAD],
  ["CL and TE that agree", `${post("Content-Length: 15", TE)}${hello}`, BAD],
  ["CL: 0 and TE", post("Content-Length: 0", TE) + hello, BAD],
  [
    "CL.TE with a whole request behind",
    `${post(`Content-Length: ${5 + smuggled.length}`, TE)}0\r\n\r\n${smuggled}`,
    BAD,
  ],
  ["two lengths that differ", `${post(CL5, "Content-Length: 0")}hello`, BAD],
  ["two lengths that agree", `${post(CL5, CL5)}hello`, BAD],
  ["two lengths, apart", `${post("Content-Length: 0", "X: 1", CL5)}${smuggled}`, BAD],
  ["a list of lengths that agree", `${post("Content-Length: 5, 5")}hello`, BAD],
  ["a list of lengths that differ", `${post("Content-Length: 5, 6")}hello`, BAD],
  ["a length with a plus sign", `${post("Content-Length: +5")}hello`, BAD],
  ["a negative length", `${post("Content-Length: -5")}hello`, BAD],
  ["a hexadecimal length", `${post("Content-Length: 0x5")}hello`, BAD],
  ["a length with a fraction", `${post("Content-Length: 5.0")}hello`, BAD],
  ["a length with an exponent", `${post("Content-Length: 5e0")}hello`, BAD],
  ["a length with a space inside", `${post("Content-Length: 0 5")}hello`, BAD],
  ["a length with an underscore", `${post("Content-Length: 0_5")}hello`, BAD],
  ["a quoted length", `${post('Content-Length: "5"')}hello`, BAD],
  ["an empty length", post("Content-Length:") + smuggled, BAD],
  ["a length of leading zeros", `${post("Content-Length: 0000000005")}hello`, taken],
  ["a length beyond 64 bits", `${post("Content-Length: 18446744073709551621")}hello`, BAD],
  ["a length of 16 digits", `${post("Content-Length: 0000000000000005")}hello`, BAD],
  ["a length and obs-text", `${post("Content-Length: 5\xa0")}hello`, BAD],
  ["a length behind a vertical tab", `${post("Content-Length: \x0b5")}hello`, BAD],
];

const coding: readonly Row[] = [
  ["TE: CHUNKED", post("Transfer-Encoding: CHUNKED") + hello, taken],
  ["TE in tabs", post("Transfer-Encoding:\tchunked\t") + hello, taken],
  ["TE: identity", post("Transfer-Encoding: identity") + smuggled, "refused 501"],
  ["TE: identity and CL", `${post("Transfer-Encoding: identity", CL5)}hello`, "refused 501"],
  ["TE: chunked, identity", post("Transfer-Encoding: chunked, identity") + hello, "refused 501"],
  ["TE: identity, chunked", post("Transfer-Encoding: identity, chunked") + hello, "refused 501"],
  ["TE: gzip, chunked", post("Transfer-Encoding: gzip, chunked") + hello, "refused 501"],
  ["TE: chunked, chunked", post("Transfer-Encoding: chunked, chunked") + hello, "refused 501"],
  ["TE: xchunked", post("Transfer-Encoding: xchunked") + hello, "refused 501"],
  ["TE: chunkedx", post("Transfer-Encoding: chunkedx") + hello, "refused 501"],
  ["TE: cow", post("Transfer-Encoding: cow", CL5) + "hello", "refused 501"],
  ["TE: a quoted word", post('Transfer-Encoding: "chunked"') + hello, "refused 501"],
  ["TE: chunked with a parameter", post("Transfer-Encoding: chunked;a=b") + hello, "refused 501"],
  ["TE: a comma behind", post("Transfer-Encoding: chunked,") + hello, "refused 501"],
  ["TE: a comma before", post("Transfer-Encoding: ,chunked") + hello, "refused 501"],
  ["TE: empty", post("Transfer-Encoding:") + smuggled, BAD],
  ["TE: empty and CL", `${post("Transfer-Encoding:", CL5)}hello`, BAD],
  ["TE twice", post(TE, TE) + hello, BAD],
  ["TE twice, the second unknown", post(TE, "Transfer-Encoding: x") + hello, BAD],
  ["TE twice, the first unknown", post("Transfer-Encoding: x", TE) + hello, "refused 501"],
  ["TE behind a vertical tab", post("Transfer-Encoding: \x0bchunked", CL5) + hello, BAD],
  ["TE behind a form feed", post("Transfer-Encoding: \x0cchunked", CL5) + hello, BAD],
  ["TE with NUL", post("Transfer-Encoding: chunked\0", CL5) + hello, BAD],
  ["TE behind obs-text", post("Transfer-Encoding: \xa0chunked") + hello, "refused 501"],
  ["TE in HTTP/1.0", post(TE).replace("1.1", "1.0") + hello, BAD],
  ["TE in HTTP/1.0 with CL", `${post(TE, CL5).replace("1.1", "1.0")}hello`, BAD],
  ["TE named by Connection", post("Connection: transfer-encoding", TE) + hello, taken],
  ["CL named by Connection", `${post("Connection: content-length", CL5)}hello`, taken],
  ["Host named by Connection", get("Connection: host"), `GET /a "", ${end}`],
];

const lines: readonly Row[] = [
  ["space before the colon", post("Transfer-Encoding : chunked", CL5) + hello, BAD],
  ["tab before the colon", post("Transfer-Encoding\t: chunked", CL5) + hello, BAD],
  ["space before the colon of CL", `${post("Content-Length : 5")}hello`, BAD],
  ["space before the colon of any field", get("X : 1"), BAD],
  ["a name with a space before it", post("X: 1", " Transfer-Encoding: chunked", CL5) + hello, BAD],
  ["the first field with a space before it", `GET /a HTTP/1.1\r\n Host: b\r\nHost: a\r\n\r\n`, BAD],
  ["a folded value", get("X: 1", " 2"), BAD],
  ["TE folded", post("Transfer-Encoding:", " chunked", CL5) + hello, BAD],
  ["TE folded with a tab", post("Transfer-Encoding:", "\tchunked") + hello, BAD],
  ["CL folded", `${post("Content-Length:", " 5")}hello`, BAD],
  ["bare LF everywhere", "POST /a HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello", BAD],
  ["bare LF behind the request line", "GET /a HTTP/1.1\nHost: a\r\n\r\n", BAD],
  ["bare LF behind a field", get("X: 1\nY: 2"), BAD],
  ["bare LF hides TE", post(`X: 1\n${TE}`, CL5) + hello, BAD],
  ["bare LF ends the head", `POST /a HTTP/1.1\r\nHost: a\r\n${CL5}\r\n\nhello`, BAD],
  ["bare CR behind a field", get("X: 1\rY: 2"), BAD],
  ["bare CR hides TE", post(`X: 1\r${TE}`, CL5) + hello, BAD],
  ["CR CR LF", get("X: 1\r"), BAD],
  ["LF CR", post(`X: 1\n\r${TE}`, CL5) + hello, BAD],
  ["NUL in a value", get("X: a\0b"), BAD],
  ["NUL in a name", get("X\0: b"), BAD],
  ["a control byte in a value", get("X: a\x01b"), BAD],
  ["obs-text in a value", get("X: a\xffb"), `GET /a "", ${end}`],
  ["obs-text in a name", get("X\xff: b"), BAD],
  ["no colon", get("X"), BAD],
  ["an empty name", get(": 1"), BAD],
  ["a name in parentheses", get("X(Y): 1"), BAD],
  ["a name with an underscore", `${get("Content_Length: 5")}`, `GET /a "", ${end}`],
  ["a line of white space", get("X: 1", " "), BAD],
  ["an empty line before the request", `\r\n${get()}`, `GET /a "", ${end}`],
  ["two empty lines before the request", `\r\n\r\n${get()}`, BAD],
  ["an empty line between requests", `${post(CL5)}hello\r\n${get()}`, `POST /a "hello", GET /a "", ${end}`],
];

const hosts: readonly Row[] = [
  ["no Host", "GET /a HTTP/1.1\r\nX: 1\r\n\r\n", BAD],
  ["two Hosts", get("Host: b"), BAD],
  ["two Hosts that agree", get("host: a"), BAD],
  ["an empty Host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", BAD],
  ["Host with a space", "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", BAD],
  ["Host with a comma", "GET /a HTTP/1.1\r\nHost: a,b\r\n\r\n", `GET /a "", ${end}`],
  ["Host with a path", "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", BAD],
  ["Host with user information", "GET /a HTTP/1.1\r\nHost: u@a\r\n\r\n", BAD],
  ["Host with a port that is none", "GET /a HTTP/1.1\r\nHost: a:b\r\n\r\n", BAD],
  ["Host with two ports", "GET /a HTTP/1.1\r\nHost: a:80:80\r\n\r\n", BAD],
  ["a URI and another Host", "GET http://b/a HTTP/1.1\r\nHost: a\r\n\r\n", `GET /a "", ${end}`],
  ["a URI without a path", "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", `GET / "", ${end}`],
  ["a URI with user information", "GET http://u@b/a HTTP/1.1\r\nHost: b\r\n\r\n", BAD],
  ["a URI and no Host", "GET http://b/a HTTP/1.1\r\n\r\n", BAD],
  ["HTTP/1.0 without Host", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", `GET /a "", ${end}`],
];

const requestLines: readonly Row[] = [
  ["two spaces before the version", "GET /a  HTTP/1.1\r\nHost: a\r\n\r\n", BAD],
  ["two spaces before the target", "GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", BAD],
  ["a tab in the request line", "GET\t/a HTTP/1.1\r\nHost: a\r\n\r\n", BAD],
  ["a space behind the version", "GET /a HTTP/1.1 \r\nHost: a\r\n\r\n", BAD],
  ["a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", BAD],
  ["bare CR in the target", "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", BAD],
  ["NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", BAD],
  ["a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", BAD],
  ["obs-text in the target", "GET /a\xff HTTP/1.1\r\nHost: a\r\n\r\n", `GET /a\xff "", ${end}`],
  ["HTTP/0.9", "GET /a\r\n", BAD],
  ["HTTP/1.2", "GET /a HTTP/1.2\r\nHost: a\r\n\r\n", "refused 505"],
  ["HTTP/2.0", "GET /a HTTP/2.0\r\nHost: a\r\n\r\n", "refused 505"],
  ["HTTP/1.10", "GET /a HTTP/1.10\r\nHost: a\r\n\r\n", BAD],
  ["http/1.1", "GET /a http/1.1\r\nHost: a\r\n\r\n", BAD],
  ["a lower-case method", "get /a HTTP/1.1\r\nHost: a\r\n\r\n", `get /a "", ${end}`],
  ["CONNECT", "CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n", "refused 501"],
  ["CONNECT with a path", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", "refused 501"],
  ["a target that is no path", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", BAD],
  ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", `OPTIONS * "", ${end}`],
  ["GET *", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", BAD],
  [
    "an upgrade to h2c",
    get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    `GET /a "", ${end}`,
  ],
];

const chunks: readonly Row[] = [
  ["an extension", `${post(TE)}5;a=b\r\nhello\r\n0\r\n\r\n`, taken],
  ["an extension with bare LF", `${post(TE)}5;a\nhello\r\n0\r\n\r\n`, BAD],
  ["an extension with bare CR", `${post(TE)}5;a\rb\r\nhello\r\n0\r\n\r\n`, BAD],
  ["an extension with NUL", `${post(TE)}5;\0\r\nhello\r\n0\r\n\r\n`, BAD],
  ["an extension behind white space", `${post(TE)}5 ;a\r\nhello\r\n0\r\n\r\n`, BAD],
  ["white space behind the size", `${post(TE)}5 \r\nhello\r\n0\r\n\r\n`, BAD],
  ["white space before the size", `${post(TE)} 5\r\nhello\r\n0\r\n\r\n`, BAD],
  ["a size with a sign", `${post(TE)}+5\r\nhello\r\n0\r\n\r\n`, BAD],
  ["a negative size", `${post(TE)}-5\r\nhello\r\n0\r\n\r\n`, BAD],
  ["a size with a prefix", `${post(TE)}0x5\r\nhello\r\n0\r\n\r\n`, BAD],
  ["an empty size", `${post(TE)}\r\nhello\r\n0\r\n\r\n`, BAD],
  ["a size that is no number", `${post(TE)}g\r\nhello\r\n0\r\n\r\n`, BAD],
  ["a size beyond 64 bits", `${post(TE)}10000000000000005\r\nhello\r\n0\r\n\r\n`, BAD],
  ["a size of 16 digits", `${post(TE)}ffffffffffffffff\r\nhello\r\n0\r\n\r\n`, BAD],
  ["a size with leading zeros", `${post(TE)}0000005\r\nhello\r\n0\r\n\r\n`, taken],
  ["bare LF behind the size", `${post(TE)}5\nhello\r\n0\r\n\r\n`, BAD],
  ["bare LF behind the data", `${post(TE)}5\r\nhello\n0\r\n\r\n`, BAD],
  ["bare LF ends the chunks", `${post(TE)}5\r\nhello\r\n0\n\n`, BAD],
  ["no CRLF behind the data", `${post(TE)}5\r\nhello0\r\n\r\n`, BAD],
  ["more data than the size says", `${post(TE)}5\r\nhello!\r\n0\r\n\r\n`, BAD],
  ["less data than the size says", `${post(TE)}6\r\nhello\r\n0\r\n\r\n`, BAD],
  ["a trailer", `${post(TE)}5\r\nhello\r\n0\r\nX: 1\r\n\r\n`, taken],
  ["a trailer that frames", `${post(TE)}5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n`, taken],
  ["a trailer with bare LF", `${post(TE)}5\r\nhello\r\n0\r\nX: 1\n\r\n`, BAD],
  ["a trailer that is a request", `${post(TE)}5\r\nhello\r\n0\r\n${smuggled}`, BAD],
];

export const corpus: readonly Case[] = [plain, framing, coding, lines, hosts, requestLines, chunks]
  .flat()
  .map(([name, bytes, sluice]) => ({ name, bytes, sluice }));
