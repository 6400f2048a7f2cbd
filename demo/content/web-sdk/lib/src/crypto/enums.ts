import { KasPublicKeyAlgEnum } from '../../gen/objects.js';
import type { KasPublicKeyAlgorithm } from '../access.js';

/** How a data key is wrapped for an algorithm; ciphertextBytes is that of a KEM, else 0. */
export type KeyWrap = {
  algorithm: KasPublicKeyAlgorithm;
  type: 'wrapped' | 'ec-wrapped';
  ciphertextBytes: number;
};

export const keyWraps: Record<number, KeyWrap> = {
  [KasPublicKeyAlgEnum.KAS_PUBLIC_KEY_ALG_ENUM_RSA_2048]:
    { algorithm: 'rsa:2048', type: 'wrapped', ciphertextBytes: 0 },
  [KasPublicKeyAlgEnum.KAS_PUBLIC_KEY_ALG_ENUM_RSA_4096]:
    { algorithm: 'rsa:4096', type: 'wrapped', ciphertextBytes: 0 },
  [KasPublicKeyAlgEnum.KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP256R1]:
    { algorithm: 'ec:secp256r1', type: 'ec-wrapped', ciphertextBytes: 0 },
  [KasPublicKeyAlgEnum.KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP384R1]:
    { algorithm: 'ec:secp384r1', type: 'ec-wrapped', ciphertextBytes: 0 },
  [KasPublicKeyAlgEnum.KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP521R1]:
    { algorithm: 'ec:secp521r1', type: 'ec-wrapped', ciphertextBytes: 0 },
};
