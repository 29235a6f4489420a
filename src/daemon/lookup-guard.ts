import dns, { type LookupAddress, type LookupOptions } from 'node:dns';
import { BlockList, isIP } from 'node:net';

/** Addresses of the link itself: there clouds hand out credentials to whoever asks on this machine (RFC 3927, RFC 4291; OWASP, "SSRF Prevention"). */
const LINK_LOCAL = new BlockList();
LINK_LOCAL.addSubnet('169.254.0.0', 16);
LINK_LOCAL.addSubnet('fe80::', 10, 'ipv6');
LINK_LOCAL.addAddress('fd00:ec2::254', 'ipv6');

type Done = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;
/** `dns.lookup`, in its longest form. */
export type Lookup = (hostname: string, options: LookupOptions, done: Done) => void;

/** A lookup that leaves out addresses of the link; where there is no other one, the name is not found. An address that stands in place of a name is nobody's trick. */
export function guarded(lookup: Lookup): (hostname: string, options: LookupOptions | number | Done, done?: Done) => void {
  return (hostname, options, done) => {
    const answer = typeof options === 'function' ? options : (done as Done);
    const wanted = typeof options === 'function' ? {} : typeof options === 'number' ? { family: options } : options;
    lookup(hostname, wanted, (error, address, family) => {
      if (error !== null || isIP(hostname) !== 0) answer(error, address, family);
      else if (typeof address === 'string') answer(isOfLink(address) ? refused(hostname) : null, address, family);
      else {
        const kept = address.filter((each) => !isOfLink(each.address));
        answer(kept.length === 0 && address.length > 0 ? refused(hostname) : null, kept);
      }
    });
  };
}

function isOfLink(address: string): boolean {
  return LINK_LOCAL.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function refused(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${hostname} leads to an address of the link itself, which is not connected to`), { code: 'ENOTFOUND' });
}

/**
 * From now on nothing in this process connects to an address of the link by a name: all drivers look names up by `dns.lookup`, the default of `net.connect`, and connect to
 * what it gives, so that what was checked is what is connected to (security checklist 10).
 */
export function guardLookups(): void {
  const { lookup } = dns;
  if (Object.hasOwn(lookup, GUARDED)) return;
  Object.assign(dns, { lookup: Object.assign(guarded(lookup as Lookup), { [GUARDED]: true }) });
}

const GUARDED = Symbol('guarded');
