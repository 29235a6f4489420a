/** One call over HTTP. Node's `fetch` takes no certificate authority of the user's. */
import { type ClientRequest, type IncomingMessage, request as plainRequest, type RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { rootMessage } from '../../plugin/error.ts';
import type { Runtime } from '../../plugin/runtime.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

export interface HttpCall {
  readonly url: URL;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly tls: { readonly ca?: Buffer; readonly servername?: string };
  readonly signal: AbortSignal;
}

/** The connection was refused, cut, or too slow: the same call may well succeed later. */
export class NoAnswer extends Error {
  /** The certificate is not trusted: nothing becomes better by itself. */
  readonly isTls: boolean;

  constructor(message: string, isTls = false) {
    super(message);
    this.isTls = isTls;
  }
}

/** What a registry answers is small. */
const MOST_BYTES = 8 * 1024 * 1024;

/** Rejects with NoAnswer. */
export function post(call: HttpCall, runtime: Runtime): Promise<HttpAnswer> {
  const { url, body, headers, timeoutMs, tls, signal } = call;
  return new Promise((resolve, reject) => {
    const options: RequestOptions = {
      method: 'POST',
      agent: false,
      signal,
      headers: { ...headers, 'Content-Length': String(Buffer.byteLength(body)) },
    };
    const fail = (error: unknown): void => {
      timer.clear();
      reject(new NoAnswer(rootMessage(error), isUntrusted(error)));
    };
    const answered = (answer: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > MOST_BYTES) request.destroy(new Error('the answer does not end'));
        else chunks.push(chunk);
      });
      answer.on('error', fail);
      answer.on('end', () => {
        timer.clear();
        resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
      });
    };
    const request: ClientRequest =
      url.protocol === 'https:' ? tlsRequest(url, { ...options, ...tls }, answered) : plainRequest(url, options, answered);
    // Only now: what Node.js does not even try throws above, and a timer would fire all the same.
    const timer = runtime.setTimer(() => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
    request.on('error', fail);
    request.end(body);
  });
}

const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME|ERR_SSL|EPROTO/;

function isUntrusted(error: unknown): boolean {
  return UNTRUSTED.test((error as { code?: string }).code ?? '');
}
