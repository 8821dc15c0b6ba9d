/** `/openapi.json`, and `/docs` to browse it. The page's scripts are served from here: it calls nothing outside. */
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { Parts } from '../app.module.js';
import { openApiDocument } from './document.js';

export function setUpDocs(app: NestFastifyApplication, { faces, keys }: Parts): void {
  const document = openApiDocument({ faces, keys: keys.length > 0 });
  SwaggerModule.setup('docs', app, document as unknown as OpenAPIObject, {
    raw: ['json'],
    jsonDocumentUrl: 'openapi.json',
    customSiteTitle: 'Shoal',
  });
}
