using Moshpit.Server;
await using var s = new MoshpitServer(new MoshpitServerOptions{Port=int.Parse(args.Length>0?args[0]:"5000"), LoggerFactory = Microsoft.Extensions.Logging.LoggerFactory.Create(b=>Microsoft.Extensions.Logging.ConsoleLoggerExtensions.AddSimpleConsole(b))});
await s.StartAsync(); Console.WriteLine("listening on "+s.Port); await Task.Delay(-1);
