/** `/openapi.json`, and `/docs` to browse it. The page's scripts are served from here: it calls nothing outside. */
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { Parts } from '../app.module.js';
import { openApiDocument } from './document.js';

export function setUpDocs(app: NestFastifyApplication, { catalog, keys }: Parts): void {
  const document = () => openApiDocument({ faces: catalog.list(), keys: keys.length > 0 }) as unknown as OpenAPIObject;
  SwaggerModule.setup('docs', app, document(), {
    raw: ['json'],
    jsonDocumentUrl: 'openapi.json',
    // Models come and go.
    patchDocumentOnRequest: document,
    customSiteTitle: 'Shoal',
  });
}
