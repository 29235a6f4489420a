import { join } from 'node:path';
import { connectorFields } from './connector-fields.ts';

/** Where connectors stand that were created through the API or a command: one file each, called as it is. */
export function storedDirectory(dataDir: string): string {
  return join(dataDir, 'connectors');
}

/** @param name one that `isConnectorName` knows: it is a part of a path */
export function storedFile(dataDir: string, name: string): string {
  return join(storedDirectory(dataDir), `${name}.json`);
}

export function isConnectorName(name: string): boolean {
  return connectorFields.name.pattern.test(name);
}

/** The connector of a file in that directory; none: it is another file, such as what a crash has left of one. */
export function storedName(file: string): readonly string[] {
  const name = /^(.*)\.json$/.exec(file)?.[1] ?? '';
  return isConnectorName(name) ? [name] : [];
}
