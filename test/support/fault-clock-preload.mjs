/** Loaded into the built daemon (fault-clock.ts): `Date` follows the offset in a file, looked at every 20 ms of the monotonic clock. */
import { readFileSync } from 'node:fs';

const file = process.env.SLUICE_TEST_CLOCK;
if (file !== undefined) {
  const RealDate = Date;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let offsetMs = 0;
  const now = () => {
    if (performance.now() - lookedAt > 20) {
      lookedAt = performance.now();
      offsetMs = Number(readFileSync(file, 'utf8')) * 1000;
    }
    return RealDate.now() + offsetMs;
  };
  globalThis.Date = class SteppedDate extends RealDate {
    constructor(...args) {
      if (args.length === 0) super(now());
      else super(...args);
    }

    static now() {
      return now();
    }
  };
}
