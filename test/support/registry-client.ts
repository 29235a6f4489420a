/** Plain requests to a registry, as its documentation writes them: no client library comes between. */

export const REGISTRY_JSON = 'application/vnd.schemaregistry.v1+json';

export interface Answer {
  readonly status: number;
  readonly type: string;
  /** Parsed; undefined: it was no JSON. */
  readonly body: unknown;
  readonly text: string;
}

export interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  /** As it is; an object as JSON. */
  readonly body?: unknown;
}

/** @param base of the registry, without a slash at the end */
export async function ask(base: string, method: string, path: string, { headers, body }: Asked = {}): Promise<Answer> {
  const response = await fetch(`${base}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': REGISTRY_JSON }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, type: response.headers.get('content-type') ?? '', body: parsed(text), text };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
