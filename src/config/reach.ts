import { resolve, sep } from 'node:path';
import type { Field } from '../plugin/field.ts';
import { CONFIG_REACH } from './errors.ts';
import type { JsonNode } from './json.ts';
import type { FileProblems } from './problem.ts';

/** What a connector that came over the API may use of this machine, and what there is to do where it may not. */
export interface Reach {
  /** `kind`: that of a reference (`env`, `file`), `program`, or `address`. */
  allows(kind: string, name: string): boolean;
  advice(kind: string, name: string): string;
}

/**
 * Hosts of the link: the addresses from which clouds hand out credentials to whoever asks on this machine (OWASP, "SSRF Prevention"), as URLs write them. What a name leads to is
 * looked at when it is connected to (`guardLookups`).
 */
const LINK_LOCAL = /^(?:169\.254\.\d+\.\d+|\[fe[89ab][\da-f]:.*|\[fd00:ec2:.*|\[::(?:ffff:)?a9fe:[\da-f]+\]|metadata(?:\.google\.internal)?)\.?$/;

/** One address, or several with commas. An IPv4 address has many forms (`2852039166`, `0xA9FEA9FE`, `169.254.43518`): of all of them URLs make one. */
function isLinkLocal(text: string): boolean {
  return text.split(',').some((each) => {
    const rest = each.trim().replace(/^[a-z][a-z\d+.-]*:[/\\]+/i, '');
    // A zone is no part of an address in a URL.
    const url = `http://${rest.replace(/^(\[[\da-f:.]+)%[^\]]*/i, '$1')}`;
    return URL.canParse(url) && LINK_LOCAL.test(new URL(url).hostname);
  });
}

/**
 * By `stored` of `sluice.json`. What is of a kind that is not known here is not allowed. Paths are compared as they are written: whoever may create connectors can make no links.
 */
export function storedReach({ env, files }: { readonly env: readonly string[]; readonly files: readonly string[] }): Reach {
  return {
    allows: (kind, name) => {
      if (kind === 'env') return env.some((pattern) => fits(pattern, name));
      if (kind === 'file') return files.some((directory) => resolve(name).startsWith(withSeparator(resolve(directory))));
      return kind === 'address' && !isLinkLocal(name);
    },
    advice: (kind, name) => {
      const where = 'Or put the connector into a file of the configuration directory.';
      if (kind === 'env') return `Add "${name}" to "stored.env" in sluice.json, and start the daemon anew. ${where}`;
      if (kind === 'file') return `Keep it in a directory that "stored.files" in sluice.json names, and start the daemon anew. ${where}`;
      return 'Put the connector into a file of the configuration directory.';
    },
  };
}

function fits(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|/-]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

function withSeparator(directory: string): string {
  return directory.endsWith(sep) ? directory : directory + sep;
}

/** False after an error was added: the value names what the file may not reach. */
export function checkReach(
  field: Field,
  value: string,
  node: JsonNode,
  path: string,
  within: { readonly reach?: Reach; readonly problems: FileProblems },
): boolean {
  const { reach, problems } = within;
  if (reach === undefined) return true;
  const isText = field.reaches === 'file' && value.includes('-----BEGIN ');
  const kind = field.reaches ?? 'address';
  if (isText || reach.allows(kind, value)) return true;
  const what = { program: 'a program', file: 'that file', address: 'an address of the link itself' }[kind];
  problems.add(path, node, CONFIG_REACH, { what, advice: reach.advice(kind, value) });
  return false;
}
