import { miniaturePaths } from '#src/prepare/miniature.js';
import { DOCUMENTS, makeCorpora } from './corpora.js';
import { writeTexts } from './texts.js';

/** Makes the texts of the bundled miniature alone, which takes seconds; its models stay. */
writeTexts(miniaturePaths(), makeCorpora(DOCUMENTS));
