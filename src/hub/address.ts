import { InputError } from '../base/errors.js';

/** What `hf://datasets/owner/name[@revision]/path` says. */
export interface DatasetAddress {
  readonly name: string;
  readonly revision: string;
  /** A file, a folder or a pattern; empty for everything. */
  readonly path: string;
}

export const SCHEME = 'hf://';
const ADDRESS =
  /^hf:\/\/datasets\/([\w-][\w.-]*\/[\w-][\w.-]*)(?:@((?:refs\/(?:convert|pr)\/)?[^/@]+))?(?:\/+(.*))?$/;

export const isRemote = (text: string): boolean => text.startsWith(SCHEME);

/** @throws InputError for another form */
export function parseAddress(text: string): DatasetAddress {
  const [, name, revision = 'main', path = ''] = ADDRESS.exec(text) ?? [];
  if (name === undefined) {
    throw new InputError(
      `${text}: expected hf://datasets/owner/name[@revision]/path, found another form; check it`,
    );
  }
  return { name, revision: decodeURIComponent(revision), path: path.replace(/\/+$/, '') };
}

/** The same address at a commit. */
export const pinned = ({ name, path }: DatasetAddress, commit: string): string =>
  `${SCHEME}datasets/${name}@${commit}${path === '' ? '' : `/${path}`}`;
