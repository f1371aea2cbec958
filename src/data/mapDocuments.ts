import { BadDocument, type Document, type DocumentSource } from './documents.js';
import type { Example } from './examples.js';

/** The documents with other content: those mapped to undefined are left out, those to a BadDocument are that instead. */
export function mapDocuments(
  documents: DocumentSource,
  map: (document: Document) => Example | BadDocument | undefined,
): DocumentSource {
  return {
    start: documents.start,
    async *read(place) {
      const items = documents.read(place);
      try {
        for (;;) {
          const { done, value } = await items.next();
          if (done) return value;
          const example = value instanceof BadDocument ? value : map(value);
          if (example instanceof BadDocument) yield example;
          else if (example !== undefined) yield { ...(value as Document), example };
        }
      } finally {
        await items.return(undefined as never);
      }
    },
  };
}
