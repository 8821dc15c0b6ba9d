/** A certificate authority of one test's own, and a Redis server's certificate that it signed. The files go with the test. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';
import { onTestFinished } from 'vitest';

export interface Certificates {
  /** The authority's, as PEM and as a file with it. */
  readonly ca: string;
  readonly caFile: string;
  /** Directives of redis.conf for a server at 127.0.0.1, which is the only name in its certificate. */
  readonly settings: Readonly<Record<string, string>>;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 24 * 3600_000;

export async function makeCertificates(): Promise<Certificates> {
  const newKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const [authority, server] = await Promise.all([newKeys(), newKeys()]);
  const valid = {
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    signingAlgorithm: ALGORITHM,
  };
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...valid,
    serialNumber: '01',
    name: 'CN=Shoal test authority',
    keys: authority,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  const cert = await X509CertificateGenerator.create({
    ...valid,
    serialNumber: '02',
    subject: 'CN=Shoal test Redis',
    issuer: ca.subject,
    publicKey: server.publicKey,
    signingKey: authority.privateKey,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', server.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`;
  const dir = mkdtempSync(join(tmpdir(), 'shoal-tls-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const write = (name: string, content: string) => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  const caFile = write('ca.pem', ca.toString('pem'));
  const settings = {
    'tls-cert-file': write('cert.pem', cert.toString('pem')),
    'tls-key-file': write('key.pem', key),
    'tls-ca-cert-file': caFile,
    'tls-auth-clients': 'no',
  };
  return { ca: ca.toString('pem'), caFile, settings };
}
