/** What a plug-in may import, as `#plugin`. */
export * from '../record/batch.ts';
export * from '../record/cursor.ts';
export * from '../record/message-id.ts';
export * from '../record/messages.ts';
export * from '../record/position.ts';
export * from '../record/table.ts';
export * from '../record/types.ts';
export * from './context.ts';
export * from './error.ts';
export * from './field.ts';
export * from './finding.ts';
export * from './format.ts';
export * from './noted.ts';
export * from './registry.ts';
export * from './runtime.ts';
export * from './sink.ts';
export * from './source.ts';
