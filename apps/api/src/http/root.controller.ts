/** `GET /`: whoever opens the server in a browser is led to its documentation. */
import { Controller, Get, HttpStatus, Redirect } from '@nestjs/common';

@Controller()
export class RootController {
  @Get()
  @Redirect('/docs', HttpStatus.FOUND)
  root(): void {}
}
