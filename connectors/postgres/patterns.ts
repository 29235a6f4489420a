export { isPatternError, type PatternError, parsePattern, parsePatterns, type TablePattern } from '#plugin';
