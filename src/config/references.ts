import { isAbsolute } from 'node:path';
import { CONFIG_REACH, CONFIG_REFERENCE, CONFIG_SECRET_FILE, CONFIG_SECRET_FILE_MODE, CONFIG_VARIABLE_MISSING } from './errors.ts';
import { type ConfigurationFiles, type FoundFile, fileTrouble } from './files.ts';
import type { JsonNode, StringNode } from './json.ts';
import { type FileProblems, joinPath } from './problem.ts';
import type { Reach } from './reach.ts';

/** Where references get their values. `leave`: their form is checked, nothing is looked up (`sluice validate` needs no secret). */
export interface ReferenceSources {
  readonly mode: 'resolve' | 'leave';
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly files: ConfigurationFiles;
  /** What references may name; left out: whatever there is. */
  readonly reach?: Reach;
}

/** A piece of a string value: text as it is, or the value of a reference. */
export interface Piece {
  readonly reference: boolean;
  readonly value: string;
}

/**
 * A string value after interpolation. `plain`: no reference in it. `resolved`: all found. `left`: has references that were not looked up, `value` is
 * the text as written. `failed`: the problem was reported.
 */
export interface Text {
  readonly state: 'plain' | 'resolved' | 'left' | 'failed';
  readonly value: string;
  readonly pieces: readonly Piece[];
}

type Token = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'env' | 'file'; readonly name: string };

/** Splits `a${env:B}c`. `$${` stands for `${`. Throws a plain Error that says what is not well formed. */
function tokenize(raw: string): Token[] {
  const tokens: Token[] = [];
  let text = '';
  for (let at = 0; at < raw.length; ) {
    if (raw.startsWith('$${', at)) {
      text += '${';
      at += 3;
      continue;
    }
    if (!raw.startsWith('${', at)) {
      text += raw.charAt(at++);
      continue;
    }
    const end = raw.indexOf('}', at);
    if (end < 0) throw new Error('the closing brace is missing');
    if (text !== '') tokens.push({ kind: 'text', text });
    text = '';
    tokens.push(reference(raw.slice(at + 2, end)));
    at = end + 1;
  }
  if (text !== '') tokens.push({ kind: 'text', text });
  return tokens;
}

function reference(inner: string): Token {
  const colon = inner.indexOf(':');
  const kind = inner.slice(0, Math.max(0, colon));
  const name = inner.slice(colon + 1);
  if (kind === 'env') {
    if (!/^[A-Za-z_]\w*$/.test(name)) throw new Error('after "env:" stands the name of an environment variable');
    return { kind, name };
  }
  if (kind === 'file') {
    if (!isAbsolute(name)) throw new Error('after "file:" stands an absolute path');
    return { kind, name };
  }
  throw new Error('it begins neither with "env:" nor with "file:"');
}

/** Looks up every reference of a file, whatever field it stands in, so that all that are missing are said at once. */
export async function resolveReferences(root: JsonNode, sources: ReferenceSources, problems: FileProblems): Promise<ReadonlyMap<StringNode, Text>> {
  const texts = new Map<StringNode, Text>();
  const walk = async (node: JsonNode, path: string): Promise<void> => {
    if (node.kind === 'string') texts.set(node, await resolveText(node.value, path, node, sources, problems));
    else if (node.kind === 'array') for (const [index, item] of node.items.entries()) await walk(item, `${path}[${index}]`);
    else if (node.kind === 'object') for (const [key, { value }] of node.members) await walk(value, joinPath(path, key));
  };
  await walk(root, '');
  return texts;
}

/** Interpolates one string. Problems name the variable or the file, never a value (I12). */
async function resolveText(raw: string, path: string, at: JsonNode, sources: ReferenceSources, problems: FileProblems): Promise<Text> {
  let tokens: Token[];
  try {
    tokens = tokenize(raw);
  } catch (error) {
    problems.add(path, at, CONFIG_REFERENCE, { reason: (error as Error).message });
    return { state: 'failed', value: raw, pieces: [] };
  }
  if (tokens.every(({ kind }) => kind === 'text')) {
    const value = tokens.map((token) => (token.kind === 'text' ? token.text : '')).join('');
    return { state: 'plain', value, pieces: [{ reference: false, value }] };
  }
  const pieces: Piece[] = [];
  let failed = false;
  for (const token of tokens) {
    if (token.kind === 'text') pieces.push({ reference: false, value: token.text });
    else if (sources.reach?.allows(token.kind, token.name) === false) {
      problems.add(path, at, CONFIG_REACH, { what: `\${${token.kind}:${token.name}}`, advice: sources.reach.advice(token.kind, token.name) });
      failed = true;
    } else if (sources.mode === 'leave') pieces.push({ reference: true, value: `\${${token.kind}:${token.name}}` });
    else {
      const value =
        token.kind === 'env' ? variable(token.name, path, at, sources, problems) : await secretFile(token.name, path, at, sources, problems);
      if (value === null) failed = true;
      else pieces.push({ reference: true, value });
    }
  }
  if (failed) return { state: 'failed', value: raw, pieces: [] };
  return { state: sources.mode === 'leave' ? 'left' : 'resolved', value: pieces.map(({ value }) => value).join(''), pieces };
}

function variable(name: string, path: string, at: JsonNode, { env }: ReferenceSources, problems: FileProblems): string | null {
  const value = env[name];
  if (value !== undefined && value !== '') return value;
  problems.add(path, at, CONFIG_VARIABLE_MISSING, { name });
  return null;
}

/** Content without one line break at the end, which editors and `echo` leave there. */
async function secretFile(name: string, path: string, at: JsonNode, { files }: ReferenceSources, problems: FileProblems): Promise<string | null> {
  try {
    const found = await files.look(name);
    const value = (await files.read(name)).toString('utf8').replace(/\r?\n$/, '');
    if (value === '') {
      problems.add(path, at, CONFIG_SECRET_FILE, { name, reason: 'it is empty' });
      return null;
    }
    if (found !== null && (found.mode & readersOf(found)) !== 0)
      problems.add(path, at, CONFIG_SECRET_FILE_MODE, { name, mode: found.mode.toString(8).padStart(4, '0') });
    return value;
  } catch (error) {
    problems.add(path, at, CONFIG_SECRET_FILE, { name, reason: fileTrouble(error) });
    return null;
  }
}

/**
 * Bits of those who should not read it. As libpq has it for private keys (its manual, 34.19): a file of root's may be read by a group, which is how it is given to a user without
 * rights of its own (Kubernetes: `fsGroup`, mode 0440); any other belongs to who runs Sluice, and to nobody else.
 */
function readersOf({ owner }: FoundFile): number {
  return owner === 0 ? 0o004 : 0o044;
}
